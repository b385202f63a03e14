"""End the execution as failed, with the reason that a person needs."""


def refuse(events, _context):
    """Raise what is left to do."""
    msg = f"this node needs a person: {events['Summary']} (nodecheck's advice: {events['Advice']})"
    raise RuntimeError(msg)
