"""Map a user's attributes to the behaviour that users like them have: the zero-shot tower of MAIL (CIKM 2021).

Two views of an old user, attributes and behaviour, are pooled by attention, encoded apart and brought together; both
codes must rebuild both views. A new user's behaviour is then what the attributes' code alone rebuilds. Padding is
masked, which the authors' code does not do. The second output, a virtual encoder input, is ours.

Shape legend: B users, A attribute tokens, L behaviour tokens, D width of a token, C code width, F input columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

LEAK = 0.2


@dataclass(frozen=True, kw_only=True)
class ZeroShotConfig:
    """Sizes; the defaults are the paper's.

    `small()` is a quarter of each: a catalogue of a few thousand items does not feed the paper's ten million weights.

    Attributes:
        attention: Width of the pooling's hidden layer.
        encoder: Widths of the three layers; each also reads what came before. The last one is C.
        decoder: Widths of the two hidden layers; the code is concatenated to each.
        dropout: On what the encoders read.
        num_behaviours: L, how many behaviour tokens are rebuilt.
        views: "both" learns from both views; "attributes" from attributes alone, without a code of behaviour; "linear"
            replaces the tower by one linear map.
    """

    attention: int = 128
    encoder: tuple[int, int, int] = (1024, 512, 512)
    decoder: tuple[int, int] = (512, 1024)
    dropout: float = 0.5
    num_behaviours: int = 100
    views: Literal["both", "attributes", "linear"] = "both"

    @classmethod
    def small(cls, **changes: object) -> ZeroShotConfig:
        """Return the scaled-down sizes, with any field changed."""
        sizes: dict[str, object] = {
            "attention": 32,
            "encoder": (256, 128, 128),
            "decoder": (128, 256),
            "dropout": 0.1,
            "num_behaviours": 20,
        }
        return cls(**{**sizes, **changes})  # type: ignore[arg-type]


class AttentionPooling(nn.Module):
    """h = Σ softmax_i(zᵀ tanh(W a_i + b)) a_i over the tokens that are there; no token gives zeros."""

    def __init__(self, token_width: int, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(token_width, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)

    def forward(self, tokens_BND: Tensor, mask_BN: Tensor) -> Tensor:
        """Return float[B, D]; `mask_BN` is true where a token is no padding."""
        scores_BN = self.score(torch.tanh(self.hidden(tokens_BND)))[..., 0]
        weights_BN = torch.softmax(scores_BN.masked_fill(~mask_BN, -1e9), dim=1) * mask_BN
        return (weights_BN[..., None] * tokens_BND).sum(dim=1)


class Encoder(nn.Module):
    """Three dense layers; the second also reads the input, the third the input again."""

    def __init__(self, width: int, config: ZeroShotConfig) -> None:
        super().__init__()
        first, second, code = config.encoder
        self.dropout = nn.Dropout(config.dropout)
        self.first = nn.Linear(width, first)
        self.second = nn.Linear(first + width, second)
        self.third = nn.Linear(second + width, code)

    def forward(self, h_BD: Tensor) -> Tensor:
        """Return the code, float[B, C]."""
        z1 = functional.leaky_relu(self.first(self.dropout(h_BD)), LEAK)
        z2 = functional.leaky_relu(self.second(self.dropout(torch.cat([z1, h_BD], dim=1))), LEAK)
        return functional.leaky_relu(self.third(torch.cat([z2, h_BD], dim=1)), LEAK)


class Decoder(nn.Module):
    """Two dense layers, the code concatenated to the output of each, then a linear one."""

    def __init__(self, num_outputs: int, config: ZeroShotConfig) -> None:
        super().__init__()
        code, (first, second) = config.encoder[2], config.decoder
        self.first = nn.Linear(code, first)
        self.second = nn.Linear(first + code, second)
        self.last = nn.Linear(second + code, num_outputs)

    def forward(self, code_BC: Tensor) -> Tensor:
        """Return float[B, num_outputs]."""
        y1 = functional.leaky_relu(self.first(code_BC), LEAK)
        y2 = functional.leaky_relu(self.second(torch.cat([y1, code_BC], dim=1)), LEAK)
        rebuilt: Tensor = self.last(torch.cat([y2, code_BC], dim=1))
        return rebuilt


@dataclass(frozen=True)
class Views:
    """Both views of a batch of users, without gradient to the tables they were read from.

    Attributes:
        attributes_BAD: float[B, A, D].
        attribute_mask_BA: bool[B, A].
        behaviours_BLD: float[B, L, D].
        behaviour_mask_BL: bool[B, L].
        x_BF: float[B, F], the encoder's input, scaled; F is 0 without a space.
        x_mask_BF: bool[B, F], which behaviour columns the user has.
    """

    attributes_BAD: Tensor
    attribute_mask_BA: Tensor
    behaviours_BLD: Tensor
    behaviour_mask_BL: Tensor
    x_BF: Tensor
    x_mask_BF: Tensor

    @classmethod
    def of(cls, *tensors: Tensor) -> Views:
        """Return the views in field order, detached."""
        return cls(*(tensor.detach() for tensor in tensors))


class ZeroShotTower(nn.Module):
    """From attributes to virtual behaviour and to a virtual encoder input."""

    def __init__(self, num_attributes: int, token_width: int, num_columns: int, config: ZeroShotConfig) -> None:
        """Build for A tokens of width D and F columns; no columns make no second output."""
        super().__init__()
        self.config, self.num_columns = config, num_columns
        self._shape = (config.num_behaviours, token_width)
        sizes = num_attributes * token_width, config.num_behaviours * token_width + num_columns
        self.pool_attributes = AttentionPooling(token_width, config.attention)
        self.linear = nn.Linear(token_width, sizes[1]) if config.views == "linear" else None
        if config.views != "linear":
            self.encode_attributes = Encoder(token_width, config)
            self.to_attributes, self.to_behaviours = (Decoder(size, config) for size in sizes)
        if config.views == "both":
            self.pool_behaviours = AttentionPooling(token_width, config.attention)
            self.encode_behaviours = Encoder(token_width, config)

    def forward(self, attributes_BAD: Tensor, attribute_mask_BA: Tensor) -> tuple[Tensor, Tensor]:
        """Return virtual behaviours float[B, L, D] and virtual input columns float[B, F]."""
        h_BD = self.pool_attributes(attributes_BAD, attribute_mask_BA)
        rebuilt = self.linear(h_BD) if self.linear is not None else self.to_behaviours(self.encode_attributes(h_BD))
        return self._split(rebuilt)

    def codes(self, views: Views) -> tuple[Tensor, Tensor | None]:
        """Return p float[B, C] of attributes, and q float[B, C] of behaviour where the tower learns from both views."""
        p_BC = self.encode_attributes(self.pool_attributes(views.attributes_BAD, views.attribute_mask_BA))
        if self.config.views != "both":
            return p_BC, None
        return p_BC, self.encode_behaviours(self.pool_behaviours(views.behaviours_BLD, views.behaviour_mask_BL))

    def rebuild(self, code_BC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return attributes float[B, A, D], behaviours float[B, L, D] and input columns float[B, F] of a code."""
        attributes = self.to_attributes(code_BC)
        return attributes.view(len(code_BC), -1, self._shape[1]), *self._split(self.to_behaviours(code_BC))

    @property
    def is_linear(self) -> bool:
        """Whether it is one linear map, without codes."""
        return self.linear is not None

    def _split(self, rebuilt: Tensor) -> tuple[Tensor, Tensor]:
        cut = rebuilt.shape[1] - self.num_columns
        return rebuilt[:, :cut].reshape(len(rebuilt), *self._shape), rebuilt[:, cut:]
