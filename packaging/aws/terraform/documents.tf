locals {
  documents = {
    Run    = "Command"
    Repair = "Command"
    Mend   = "Automation"
  }
}

resource "aws_ssm_document" "this" {
  for_each = local.documents

  name            = "${var.prefix}-${each.key}"
  document_type   = each.value
  document_format = "JSON"
  target_type     = each.value == "Command" ? "/AWS::EC2::Instance" : null
  content         = file("${path.module}/../documents/NodeCheck-${each.key}.json")
}
