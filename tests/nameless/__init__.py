"""What a dashboard without `phi:read` could learn of names: nothing, by whatever it asks.

`marked` makes two practices that are alike but for every health text, each of which is a marker
that is nowhere else; `requests` has all that can be asked of them. An answer in which a marker is
found leaks it, and one that isn't the same in both practices depends on what it must not tell.
"""
