"""Write the parameters of the CloudFormation template as variables of the Terraform module."""

from __future__ import annotations

import json
import re
from typing import Any, Final

Parameter = dict[str, Any]

TYPES: Final = {"String": "string", "Number": "number", "CommaDelimitedList": "list(string)"}
YES_NO: Final = ["yes", "no"]


def snake(name: str) -> str:
    """Return a name in Terraform's spelling.

    >>> snake("UpdateOffsetDays")
    'update_offset_days'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def variables(parameters: object) -> str:
    """Return the text of variables.tf."""
    if not isinstance(parameters, dict):
        raise TypeError
    note = "# Made by scripts/aws-templates from the parameters of ../nodecheck.yaml.\n\n"
    return note + "\n".join(_variable(snake(name), item) for name, item in parameters.items())


def _variable(name: str, parameter: Parameter) -> str:
    is_switch = parameter.get("AllowedValues") == YES_NO
    kind = "bool" if is_switch else TYPES[str(parameter["Type"])]
    lines = [
        f'variable "{name}" {{',
        f"  description = {json.dumps(parameter['Description'])}",
        f"  type        = {kind}",
        f"  default     = {_default(parameter, is_switch=is_switch)}",
        *([] if is_switch else _validation(name, parameter)),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _default(parameter: Parameter, *, is_switch: bool) -> str:
    value = parameter["Default"]
    if is_switch:
        return "true" if value == "yes" else "false"
    if parameter["Type"] == "CommaDelimitedList":
        return "[]"
    return json.dumps(value)


def _validation(name: str, parameter: Parameter) -> list[str]:
    if "AllowedValues" in parameter:
        condition = f"contains({json.dumps(parameter['AllowedValues'])}, var.{name})"
    elif "AllowedPattern" in parameter:
        condition = f"can(regex({json.dumps(parameter['AllowedPattern'])}, var.{name}))"
    elif "MinValue" in parameter:
        condition = f"var.{name} >= {parameter['MinValue']}"
    else:
        return []
    return [
        "",
        "  validation {",
        f"    condition     = {condition}",
        f'    error_message = "{name} is not allowed: see the condition."',
        "  }",
    ]
