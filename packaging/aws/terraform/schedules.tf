locals {
  # One block at most: S3 keeps whole outputs where a bucket is named.
  output = var.output_bucket == "" ? [] : [var.output_bucket]
}

resource "aws_ssm_association" "install" {
  count = var.install == "distributor" ? 1 : 0

  association_name = "${var.prefix}-install"
  name             = "AWS-ConfigureAWSPackage"
  parameters = {
    action           = "Install"
    installationType = "In-place update"
    name             = var.package
  }
  schedule_expression = "rate(1 day)"
  max_concurrency     = var.max_concurrency
  max_errors          = "5%"
  compliance_severity = "MEDIUM"
  sync_compliance     = "AUTO"

  targets {
    key    = "tag:${var.tag_key}"
    values = [var.tag_value]
  }

  dynamic "output_location" {
    for_each = local.output
    content {
      s3_bucket_name = output_location.value
      s3_key_prefix  = "install"
      s3_region      = local.region
    }
  }
}

# The agent runs a rate association at its own phase, a cron one on all nodes in one minute.
resource "aws_ssm_association" "check" {
  association_name = "${var.prefix}-check"
  name             = aws_ssm_document.this["Run"].name
  document_version = "$LATEST"
  parameters = {
    Reports      = var.reports
    FailOn       = var.fail_on
    SplaySeconds = var.splay_seconds
  }
  schedule_expression = "rate(${var.every_minutes} minutes)"
  max_concurrency     = var.max_concurrency
  max_errors          = var.max_errors
  compliance_severity = "HIGH"
  sync_compliance     = "AUTO"

  targets {
    key    = "tag:${var.tag_key}"
    values = [var.tag_value]
  }

  dynamic "output_location" {
    for_each = local.output
    content {
      s3_bucket_name = output_location.value
      s3_key_prefix  = "nodecheck"
      s3_region      = local.region
    }
  }
}

# The provider has no ScheduleOffset: it is the month's second such weekday, not days after its Tuesday.
resource "aws_ssm_association" "agent_update" {
  count = var.update_agent ? 1 : 0

  association_name            = "${var.prefix}-agent-update"
  name                        = "AWS-UpdateSSMAgent"
  parameters                  = { allowDowngrade = "false" }
  schedule_expression         = "cron(0 4 ? * ${element(["WED", "THU", "FRI", "SAT", "SUN", "MON"], var.update_offset_days - 1)}#2 *)"
  apply_only_at_cron_interval = true
  max_concurrency             = var.max_concurrency
  max_errors                  = "5%"
  compliance_severity         = "MEDIUM"
  sync_compliance             = "AUTO"

  targets {
    key    = "tag:${var.tag_key}"
    values = [var.tag_value]
  }

  dynamic "output_location" {
    for_each = local.output
    content {
      s3_bucket_name = output_location.value
      s3_key_prefix  = "agent-update"
      s3_region      = local.region
    }
  }
}

# The window in which the runbook may do what interrupts commands.
resource "aws_ssm_maintenance_window" "mend" {
  count = var.mend_in_window ? 1 : 0

  name                       = "${var.prefix}-mend"
  description                = "Mends what nodecheck found, also what interrupts commands"
  schedule                   = var.window_schedule
  schedule_timezone          = "UTC"
  duration                   = 3
  cutoff                     = 1
  allow_unassociated_targets = false
}

resource "aws_ssm_maintenance_window_target" "mend" {
  count = var.mend_in_window ? 1 : 0

  window_id     = aws_ssm_maintenance_window.mend[0].id
  resource_type = "INSTANCE"

  targets {
    key    = "tag:${var.tag_key}"
    values = [var.tag_value]
  }
}

resource "aws_ssm_maintenance_window_task" "mend" {
  count = var.mend_in_window ? 1 : 0

  window_id        = aws_ssm_maintenance_window.mend[0].id
  task_type        = "AUTOMATION"
  task_arn         = aws_ssm_document.this["Mend"].name
  service_role_arn = aws_iam_role.window[0].arn
  max_concurrency  = var.max_concurrency
  max_errors       = "10%"
  priority         = 1
  cutoff_behavior  = "CONTINUE_TASK"

  targets {
    key    = "WindowTargetIds"
    values = [aws_ssm_maintenance_window_target.mend[0].id]
  }

  task_invocation_parameters {
    automation_parameters {
      document_version = "$LATEST"

      dynamic "parameter" {
        for_each = {
          NodeId               = "{{ TARGET_ID }}"
          AutomationAssumeRole = aws_iam_role.automation.arn
          ApprovedBy           = "maintenance-window"
          Approver             = aws_iam_role.automation.arn
          Topic                = aws_sns_topic.alarms.arn
          RunDocument          = aws_ssm_document.this["Run"].name
          RepairDocument       = aws_ssm_document.this["Repair"].name
        }
        content {
          name   = parameter.key
          values = [parameter.value]
        }
      }
    }
  }
}
