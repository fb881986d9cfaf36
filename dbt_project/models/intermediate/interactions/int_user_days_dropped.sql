-- Read after a build, to say whom the bot filter dropped.
with interactions as (

    select * from {{ ref('int_interactions_deduplicated') }}

),

counted as (

    select
        user_id,
        arrived_at,
        count(*) as count_events,
        count(distinct item_id) as count_items
    from interactions
    group by user_id, arrived_at

),

dropped as (

    select
        arrived_at,
        user_id,
        count_events,
        count_items,
        '{{ bot_rule() }}' as drop_rule
    from counted
    where {{ is_bot('count_events', 'count_items') }}

)

select * from dropped
