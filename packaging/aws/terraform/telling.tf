resource "aws_cloudwatch_log_group" "reports" {
  name              = var.log_group_name
  log_group_class   = "STANDARD"
  retention_in_days = var.retention_days
}

resource "aws_sns_topic" "alarms" {
  name_prefix  = "${var.prefix}-alarms-"
  display_name = "nodecheck"
}

resource "aws_sns_topic_subscription" "email" {
  count = var.alarm_email == "" ? 0 : 1

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

resource "aws_cloudwatch_query_definition" "this" {
  for_each = fileset("${path.module}/../queries", "*.txt")

  name            = "${var.prefix}/${trimsuffix(each.value, ".txt")}"
  log_group_names = [aws_cloudwatch_log_group.reports.name]
  query_string    = file("${path.module}/../queries/${each.value}")
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = "${var.prefix}-${local.region}"
  dashboard_body = templatefile("${path.module}/dashboard.json.tftpl", {
    region    = local.region
    log_group = var.log_group_name
    namespace = var.namespace
  })
}

resource "aws_cloudwatch_metric_alarm" "silent" {
  for_each = local.platforms

  alarm_name          = "${var.prefix}-silent-${each.key}"
  alarm_description   = "Fewer ${title(each.key)} nodes report than expected: see the query silent-nodes"
  evaluation_periods  = 2
  threshold           = var.heard_percent
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "heard"
    label       = "share of nodes heard, %"
    expression  = "100 * runs * ${var.every_minutes} / 60 / ${each.value}"
    return_data = true
  }

  metric_query {
    id          = "runs"
    return_data = false

    metric {
      namespace   = var.namespace
      metric_name = "Runs"
      dimensions  = { Platform = each.key }
      period      = 3600
      stat        = "Sum"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "crit" {
  for_each = local.platforms

  alarm_name          = "${var.prefix}-crit-${each.key}"
  alarm_description   = "${title(each.key)} nodes are critical: see the dashboard"
  evaluation_periods  = 1
  threshold           = var.crit_nodes
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "critical"
    label       = "critical nodes"
    expression  = "crit * ${var.every_minutes} / 60"
    return_data = true
  }

  metric_query {
    id          = "crit"
    return_data = false

    metric {
      namespace   = var.namespace
      metric_name = "Crit"
      dimensions  = { Platform = each.key }
      period      = 3600
      stat        = "Sum"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "skew" {
  for_each = local.platforms

  alarm_name          = "${var.prefix}-skew-${each.key}"
  alarm_description   = "1 % of the clocks of ${title(each.key)} nodes are off: see the query worst-clocks"
  namespace           = var.namespace
  metric_name         = "ClockOffsetAbs"
  dimensions          = { Platform = each.key }
  extended_statistic  = "p99"
  period              = 3600
  evaluation_periods  = 1
  threshold           = var.skew_seconds
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_log_metric_filter" "signing_key" {
  name           = "${var.prefix}-signing-key"
  log_group_name = aws_cloudwatch_log_group.reports.name
  pattern        = "{ ($.checks.agent.signing-key = \"warn*\") || ($.checks.agent.signing-key = \"crit*\") }"

  metric_transformation {
    namespace = var.namespace
    name      = "SigningKeyDue"
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "signing_key" {
  count = length(local.platforms) > 0 ? 1 : 0

  alarm_name          = "${var.prefix}-signing-key"
  alarm_description   = "The newest signing key known to nodecheck expires within 60 days: update nodecheck"
  namespace           = var.namespace
  metric_name         = "SigningKeyDue"
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}
