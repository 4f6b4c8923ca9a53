"""A small problem and a small d2l model for the tests of the integration."""

import pytest
import torch

from d2lstab.integrations import d2l as integration


def _pair(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 64, generator=generator)
    return inputs, (inputs[:, :10]).argmax(1)


@pytest.fixture
def pair():
    """A function that makes (inputs, targets) of so many samples with 64 features, 10 classes."""
    return _pair


@pytest.fixture
def classifier():
    """A class of perceptrons with one hidden layer, equal at every construction."""
    d2l = integration.load()

    class Classifier(d2l.Classifier):
        def __init__(self, lr=0.5):
            super().__init__()
            self.save_hyperparameters()
            hidden, last = torch.nn.Linear(64, 16), torch.nn.Linear(16, 10)
            generator = torch.Generator().manual_seed(5)
            for layer in (hidden, last):
                torch.nn.init.xavier_uniform_(layer.weight, generator=generator)
                torch.nn.init.zeros_(layer.bias)
            self.net = torch.nn.Sequential(hidden, torch.nn.ReLU(), last)

    return Classifier
