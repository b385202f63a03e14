# The same as ../nodecheck.yaml, which tests compare it with. It reads its documents, queries and the
# function's code from the folder above: use it as source = "git::...//packaging/aws/terraform".
terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60, < 7.0"
    }
    archive = {
      source  = "hashicorp/archive"
      version = ">= 2.4"
    }
  }
}

data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}

locals {
  account   = data.aws_caller_identity.here.account_id
  partition = data.aws_partition.here.partition
  region    = data.aws_region.here.name
  regional  = "${local.region}:${local.account}"

  # Only platforms of which nodes are expected have alarms.
  nodes     = { linux = var.linux_nodes, windows = var.windows_nodes }
  platforms = { for platform, count in local.nodes : platform => count if count > 0 }
}
