"""The contract of every backend, as a pytest suite.

To run it on your own backend, write a test module of two parts:

    from mfprefect.testing.contract import *

    @pytest.fixture
    def database_url(tmp_path): ...     # the URL of a fresh, empty database

Override the fixture `schema_url`, too, if your database copies a schema faster than it creates one.
"""

from mfprefect.testing.contract.attempts import *
from mfprefect.testing.contract.checks import *
from mfprefect.testing.contract.concurrency import *
from mfprefect.testing.contract.exactness import *
from mfprefect.testing.contract.files import *
from mfprefect.testing.contract.helpers import *
from mfprefect.testing.contract.insert_select import *
from mfprefect.testing.contract.latest import *
from mfprefect.testing.contract.registry import *
from mfprefect.testing.contract.schema import *
from mfprefect.testing.contract.scores import *
from mfprefect.testing.contract.sessions import *
from mfprefect.testing.contract.stages import *
from mfprefect.testing.contract.trace import *
from mfprefect.testing.contract.trials import *
