"""What the docstrings show is what happens."""

import doctest
import importlib
import pkgutil

import pytest

import oda

MODULES = [module.name for module in pkgutil.walk_packages(oda.__path__, "oda.")]


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
