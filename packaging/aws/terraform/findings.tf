# Findings of Security Hub, made centrally from the changes of compliance; all only where wanted.
data "archive_file" "findings" {
  count = var.security_hub ? 1 : 0

  type        = "zip"
  output_path = "${path.module}/findings.zip"

  source {
    filename = "index.py"
    content  = file("${path.module}/../source/findings.py")
  }
}

resource "aws_sqs_queue" "findings_lost" {
  count = var.security_hub ? 1 : 0

  name_prefix               = "${var.prefix}-findings-lost-"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_iam_role" "findings" {
  count = var.security_hub ? 1 : 0

  name_prefix = "${var.prefix}-findings-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "findings" {
  count = var.security_hub ? 1 : 0

  name = "nodecheck"
  role = aws_iam_role.findings[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["ssm:ListComplianceItems"]
        Resource = ["*"]
      },
      {
        Effect   = "Allow"
        Action   = ["securityhub:BatchImportFindings"]
        Resource = ["arn:${local.partition}:securityhub:${local.regional}:product/${local.account}/default"]
      },
      {
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.findings_lost[0].arn]
      },
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["arn:${local.partition}:logs:${local.regional}:log-group:/aws/lambda/*:*"]
      },
    ]
  })
}

resource "aws_lambda_function" "findings" {
  count = var.security_hub ? 1 : 0

  function_name    = "${var.prefix}-findings"
  description      = "Turns the compliance of a node into findings of Security Hub"
  runtime          = "python3.12"
  architectures    = ["arm64"]
  handler          = "index.handle"
  role             = aws_iam_role.findings[0].arn
  timeout          = 60
  memory_size      = 128
  filename         = data.archive_file.findings[0].output_path
  source_code_hash = data.archive_file.findings[0].output_base64sha256

  dead_letter_config {
    target_arn = aws_sqs_queue.findings_lost[0].arn
  }

  environment {
    variables = {
      PARTITION        = local.partition
      AWS_RETRY_MODE   = "standard"
      AWS_MAX_ATTEMPTS = "8"
    }
  }
}

resource "aws_cloudwatch_log_group" "findings" {
  count = var.security_hub ? 1 : 0

  name              = "/aws/lambda/${aws_lambda_function.findings[0].function_name}"
  retention_in_days = var.retention_days
}

resource "aws_cloudwatch_event_rule" "findings" {
  count = var.security_hub ? 1 : 0

  name_prefix = "${var.prefix}-findings-"
  description = "The compliance of a node changed"
  event_pattern = jsonencode({
    source      = ["aws.ssm"]
    detail-type = ["Configuration Compliance State Change"]
    detail      = { compliance-type = ["Custom:NodeCheck", "Association"] }
  })
}

resource "aws_cloudwatch_event_target" "findings" {
  count = var.security_hub ? 1 : 0

  rule      = aws_cloudwatch_event_rule.findings[0].name
  target_id = "findings"
  arn       = aws_lambda_function.findings[0].arn
}

resource "aws_lambda_permission" "findings" {
  count = var.security_hub ? 1 : 0

  function_name = aws_lambda_function.findings[0].function_name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.findings[0].arn
}

resource "aws_cloudwatch_metric_alarm" "findings_lost" {
  count = var.security_hub ? 1 : 0

  alarm_name          = "${var.prefix}-findings-lost"
  alarm_description   = "Findings did not reach Security Hub; the events wait in the queue"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.findings_lost[0].name }
  statistic           = "Maximum"
  period              = 3600
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}
