with interactions as (

    select * from {{ ref('int_interactions_bot_filtered') }}

),

event_types as (

    select * from {{ ref('event_types') }}

),

weighted as (

    select
        interactions.event_id,
        interactions.user_id,
        interactions.item_id,
        interactions.event_type,
        interactions.event_value,
        interactions.session_id,
        interactions.surface,
        interactions.occurred_at,
        interactions.arrived_at,
        event_types.weight
    from interactions
    inner join event_types
        on interactions.event_type = event_types.event_type

)

select * from weighted
