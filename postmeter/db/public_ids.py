"""The ids that leave the house: encrypted, typed by a prefix, reversible."""

from functools import lru_cache

from django.conf import settings

from postmeter.kit.ids import PublicIds


@lru_cache(maxsize=1)
def public_ids() -> PublicIds:
    return PublicIds(settings.ID_KEY)
