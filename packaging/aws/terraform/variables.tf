# Made by scripts/aws-templates from the parameters of ../nodecheck.yaml.

variable "prefix" {
  description = "Begins the name of every document"
  type        = string
  default     = "NodeCheck"

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{2,40}$", var.prefix))
    error_message = "prefix is not allowed: see the condition."
  }
}

variable "tag_key" {
  description = "Nodes with this tag are checked"
  type        = string
  default     = "NodeCheck"

  validation {
    condition     = can(regex("^[A-Za-z0-9_.:/=+@-]{1,128}$", var.tag_key))
    error_message = "tag_key is not allowed: see the condition."
  }
}

variable "tag_value" {
  description = "... and this value of it"
  type        = string
  default     = "on"

  validation {
    condition     = can(regex("^[A-Za-z0-9_.:/=+@-]{1,256}$", var.tag_value))
    error_message = "tag_value is not allowed: see the condition."
  }
}

variable "install" {
  description = "Where a node gets nodecheck: distributor (the package Package), or none (it is there)"
  type        = string
  default     = "distributor"

  validation {
    condition     = contains(["distributor", "none"], var.install)
    error_message = "install is not allowed: see the condition."
  }
}

variable "package" {
  description = "Distributor package"
  type        = string
  default     = "NodeCheck"

  validation {
    condition     = can(regex("^[A-Za-z0-9_.:/-]{1,200}$", var.package))
    error_message = "package is not allowed: see the condition."
  }
}

variable "reports" {
  description = "Sinks of each run, with commas"
  type        = string
  default     = "cloudwatch,compliance"

  validation {
    condition     = can(regex("^(cloudwatch|cloudwatch-metrics|cloudwatch-agent|compliance|inventory|syslog|file)(,(cloudwatch|cloudwatch-metrics|cloudwatch-agent|compliance|inventory|syslog|file))*$", var.reports))
    error_message = "reports is not allowed: see the condition."
  }
}

variable "fail_on" {
  description = "The mildest verdict that makes the association non-compliant"
  type        = string
  default     = "crit"

  validation {
    condition     = contains(["warn", "unknown", "crit", "never"], var.fail_on)
    error_message = "fail_on is not allowed: see the condition."
  }
}

variable "every_minutes" {
  description = "Minutes between two runs"
  type        = number
  default     = 30

  validation {
    condition     = contains([30, 60], var.every_minutes)
    error_message = "every_minutes is not allowed: see the condition."
  }
}

variable "splay_seconds" {
  description = "Spread reports over; 300 beyond 10,000 nodes"
  type        = string
  default     = "60"

  validation {
    condition     = can(regex("^(0|[1-9][0-9]{0,2})$", var.splay_seconds))
    error_message = "splay_seconds is not allowed: see the condition."
  }
}

variable "max_concurrency" {
  description = "Nodes at once, a number or a share"
  type        = string
  default     = "10%"

  validation {
    condition     = can(regex("^[1-9][0-9]{0,2}%?$", var.max_concurrency))
    error_message = "max_concurrency is not allowed: see the condition."
  }
}

variable "max_errors" {
  description = "Failures that end a round of checks, a number or a share (a critical node is one)"
  type        = string
  default     = "100%"

  validation {
    condition     = can(regex("^[1-9][0-9]{0,2}%?$", var.max_errors))
    error_message = "max_errors is not allowed: see the condition."
  }
}

variable "output_bucket" {
  description = "S3 bucket for whole outputs, in this Region; empty: none"
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$", var.output_bucket))
    error_message = "output_bucket is not allowed: see the condition."
  }
}

variable "instance_roles" {
  description = "Names of the instance roles that get the right to report; empty: none"
  type        = list(string)
  default     = []
}

variable "update_agent" {
  description = "Update the SSM Agent every month (not beside Quick Setup)"
  type        = bool
  default     = false
}

variable "update_offset_days" {
  description = "Days after the month's second Tuesday"
  type        = number
  default     = 2

  validation {
    condition     = contains([1, 2, 3, 4, 5, 6], var.update_offset_days)
    error_message = "update_offset_days is not allowed: see the condition."
  }
}

variable "mend_in_window" {
  description = "Mend nodes in a maintenance window, also what interrupts commands"
  type        = bool
  default     = false
}

variable "window_schedule" {
  description = "When (UTC)"
  type        = string
  default     = "cron(0 3 ? * SUN *)"

  validation {
    condition     = can(regex("^(cron|rate)\\([A-Za-z0-9 ?*#,/-]{1,100}\\)$", var.window_schedule))
    error_message = "window_schedule is not allowed: see the condition."
  }
}

variable "security_hub" {
  description = "Findings in Security Hub, which must be enabled"
  type        = bool
  default     = false
}

variable "alarm_email" {
  description = "Address for alarms and approvals; empty: none"
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([^@ ]{1,64}@[^@ ]{1,190})?$", var.alarm_email))
    error_message = "alarm_email is not allowed: see the condition."
  }
}

variable "linux_nodes" {
  description = "Linux nodes expected to report; 0: no alarms for Linux"
  type        = number
  default     = 0

  validation {
    condition     = var.linux_nodes >= 0
    error_message = "linux_nodes is not allowed: see the condition."
  }
}

variable "windows_nodes" {
  description = "Windows nodes expected to report; 0: no alarms for Windows"
  type        = number
  default     = 0

  validation {
    condition     = var.windows_nodes >= 0
    error_message = "windows_nodes is not allowed: see the condition."
  }
}

variable "heard_percent" {
  description = "Alarm when fewer of them report"
  type        = number
  default     = 90

  validation {
    condition     = var.heard_percent >= 1
    error_message = "heard_percent is not allowed: see the condition."
  }
}

variable "crit_nodes" {
  description = "Alarm from so many critical nodes on"
  type        = number
  default     = 1

  validation {
    condition     = var.crit_nodes >= 1
    error_message = "crit_nodes is not allowed: see the condition."
  }
}

variable "skew_seconds" {
  description = "Alarm when 1 % of the clocks are further off"
  type        = number
  default     = 60

  validation {
    condition     = var.skew_seconds >= 1
    error_message = "skew_seconds is not allowed: see the condition."
  }
}

variable "log_group_name" {
  description = "Log group of the reports"
  type        = string
  default     = "/nodecheck"

  validation {
    condition     = can(regex("^[.A-Za-z0-9_/#-]{1,512}$", var.log_group_name))
    error_message = "log_group_name is not allowed: see the condition."
  }
}

variable "namespace" {
  description = "Namespace of the metrics"
  type        = string
  default     = "NodeCheck"

  validation {
    condition     = can(regex("^[A-Za-z0-9._#:/-]{1,255}$", var.namespace))
    error_message = "namespace is not allowed: see the condition."
  }
}

variable "retention_days" {
  description = "Days that reports are kept"
  type        = number
  default     = 14

  validation {
    condition     = contains([3, 7, 14, 30, 60, 90, 180, 365], var.retention_days)
    error_message = "retention_days is not allowed: see the condition."
  }
}
