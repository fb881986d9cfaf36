-- The longest window alone; a user without an interaction in it keeps one row of nulls.
with users as (

    select * from {{ ref('dim_users') }}

),

items as (

    select * from {{ ref('dim_items') }}

),

interactions as (

    select * from {{ ref('fct_interactions') }}
    where
        arrived_at < {{ as_of() }}
        and occurred_at < {{ as_of() }}
        and occurred_at >= {{ window_start(180) }}

),

joined as (

    select
        users.user_id,
        interactions.item_id,
        interactions.event_type,
        interactions.session_key,
        interactions.occurred_at,
        items.category
    from users
    left join interactions
        on users.user_id = interactions.user_id
    left join items
        on interactions.item_id = items.item_id

)

select * from joined
