with interactions as (

    select * from {{ ref('int_interactions_bot_filtered') }}

),

event_types as (

    select * from {{ ref('event_types') }}

),

weighted as (

    select
        interactions.*,
        event_types.weight
    from interactions
    inner join event_types
        on interactions.event_type = event_types.event_type

)

select * from weighted
