"""What only one version of Dovecot can show."""

import pytest

from dovecot_config import IS_2_3

only_2_4 = pytest.mark.skipif(IS_2_3, reason="Dovecot 2.3 has no typed settings")
