"""Methods that the tests of the interface share lie with them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "methods"))
