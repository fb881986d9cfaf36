"""Who features belong to. A vector's owner is a user within one space: spaces can't be compared."""

from feast import Entity, ValueType

user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING, description="A user, by external id.")
item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING, description="An item, by external id.")
item_space = Entity(
    name="item_space",
    join_keys=["item_space_id"],
    value_type=ValueType.STRING,
    description="One frozen set of item vectors.",
)
space = Entity(
    name="space",
    join_keys=["space_id"],
    value_type=ValueType.STRING,
    description="One trained encoder with its item space and scalers.",
)
