resource "aws_iam_policy" "report" {
  name_prefix = "${var.prefix}-report-"
  description = "Lets a node send nodecheck's reports"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:PutLogEvents", "logs:CreateLogStream"]
        Resource = "arn:${local.partition}:logs:${local.regional}:log-group:${var.log_group_name}:log-stream:*"
      },
      {
        Effect    = "Allow"
        Action    = ["cloudwatch:PutMetricData"]
        Resource  = "*"
        Condition = { StringEquals = { "cloudwatch:namespace" = var.namespace } }
      },
      {
        Effect = "Allow"
        Action = ["ssm:PutComplianceItems"]
        Resource = [
          "arn:${local.partition}:ec2:${local.regional}:instance/*",
          "arn:${local.partition}:ssm:${local.regional}:managed-instance/*",
        ]
      },
    ]
  })
}

resource "aws_iam_role_policy_attachment" "report" {
  for_each = toset(var.instance_roles)

  role       = each.value
  policy_arn = aws_iam_policy.report.arn
}

locals {
  trust_systems_manager = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ssm.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role" "automation" {
  name_prefix        = "${var.prefix}-automation-"
  assume_role_policy = local.trust_systems_manager
}

resource "aws_iam_role_policy" "automation" {
  name = "nodecheck"
  role = aws_iam_role.automation.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = ["ssm:SendCommand"]
        Resource = [
          "arn:${local.partition}:ssm:${local.regional}:document/${aws_ssm_document.this["Run"].name}",
          "arn:${local.partition}:ssm:${local.regional}:document/${aws_ssm_document.this["Repair"].name}",
          "arn:${local.partition}:ssm:${local.region}::document/AWS-UpdateSSMAgent",
          "arn:${local.partition}:ec2:${local.regional}:instance/*",
          "arn:${local.partition}:ssm:${local.regional}:managed-instance/*",
        ]
      },
      {
        Effect = "Allow"
        Action = [
          "ssm:ListCommands",
          "ssm:ListCommandInvocations",
          "ssm:GetCommandInvocation",
          "ssm:DescribeInstanceInformation",
        ]
        Resource = ["*"]
      },
      {
        Effect   = "Allow"
        Action   = ["sns:Publish"]
        Resource = [aws_sns_topic.alarms.arn]
      },
    ]
  })
}

resource "aws_iam_role" "window" {
  count = var.mend_in_window ? 1 : 0

  name_prefix        = "${var.prefix}-window-"
  assume_role_policy = local.trust_systems_manager
}

resource "aws_iam_role_policy" "window" {
  count = var.mend_in_window ? 1 : 0

  name = "nodecheck"
  role = aws_iam_role.window[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["ssm:StartAutomationExecution"]
        Resource = ["arn:${local.partition}:ssm:${local.regional}:automation-definition/${aws_ssm_document.this["Mend"].name}:*"]
      },
      {
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = [aws_iam_role.automation.arn]
        Condition = { StringEquals = { "iam:PassedToService" = "ssm.amazonaws.com" } }
      },
    ]
  })
}
