"""Start nodecheck."""

from nodecheck.cli import main
from nodecheck.host.output import leave

leave(main())
