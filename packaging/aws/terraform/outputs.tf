output "report_policy" {
  description = "Managed policy for roles of nodes, the hybrid ones too"
  value       = aws_iam_policy.report.arn
}

output "automation_role" {
  description = "AutomationAssumeRole of the runbook"
  value       = aws_iam_role.automation.arn
}

output "alarm_topic" {
  description = "Gets the alarms"
  value       = aws_sns_topic.alarms.arn
}

output "dashboard" {
  description = "The dashboard"
  value       = "https://${local.region}.console.aws.amazon.com/cloudwatch/home?region=${local.region}#dashboards:name=${aws_cloudwatch_dashboard.this.dashboard_name}"
}
