"""`python -m postmeter.api FILE` writes the OpenAPI document; docs/api/openapi.json is its snapshot."""

import os
import sys
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postmeter.config.settings")

import django

django.setup()

from postmeter.api.app import openapi_text  # noqa: E402 - Django must be set up first

Path(sys.argv[1]).write_text(openapi_text())
