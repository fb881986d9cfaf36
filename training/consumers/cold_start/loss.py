"""Put together what the zero-shot tower minimises: L_zst = L_a + L_v + L_d (MAIL, CIKM 2021), each term a mean.

Shape legend: B users, C code width.
"""

from __future__ import annotations

from torch import Tensor

from training.consumers.cold_start.zero_shot import Views, ZeroShotTower
from training.losses.alignment import Alignment, align
from training.losses.reconstruction import masked_mse


def zero_shot_loss(tower: ZeroShotTower, views: Views, alignment: Alignment) -> Tensor:
    """Return the loss of a batch of old users; a tower that reads attributes alone has only L_a.

    Args:
        tower: The tower.
        views: Both views of users who have both, detached from the embedding tables.
        alignment: How the codes are brought together.
    """
    if tower.is_linear:
        behaviours, columns = tower(views.attributes_BAD, views.attribute_mask_BA)
        return _behaviour_loss(behaviours, columns, views)
    p_BC, q_BC = tower.codes(views)
    total = _rebuilding_loss(tower, p_BC, views)
    if q_BC is not None:
        total = total + _rebuilding_loss(tower, q_BC, views) + align(p_BC, q_BC, alignment)
    return total


def _rebuilding_loss(tower: ZeroShotTower, code_BC: Tensor, views: Views) -> Tensor:
    attributes, behaviours, columns = tower.rebuild(code_BC)
    loss = masked_mse(attributes, views.attributes_BAD, views.attribute_mask_BA[..., None])
    return loss + _behaviour_loss(behaviours, columns, views)


def _behaviour_loss(behaviours: Tensor, columns: Tensor, views: Views) -> Tensor:
    """The columns of the encoder's behaviour blocks count as much as the tokens do."""
    loss = masked_mse(behaviours, views.behaviours_BLD, views.behaviour_mask_BL[..., None])
    return loss + masked_mse(columns, views.x_BF, views.x_mask_BF)
