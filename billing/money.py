"""The currencies of ISO 4217 and their decimals."""

# The currencies with other than two decimals.
WITHOUT_DECIMALS = frozenset(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split()
)
WITH_THREE = frozenset("BHD IQD JOD KWD LYD OMR TND".split())


def currency_digits(currency: str) -> int:
    """Return the decimals of an amount in this currency."""
    if currency in WITHOUT_DECIMALS:
        return 0
    return 3 if currency in WITH_THREE else 2
