-- Windows are partitioned by arrival day throughout, so that a batch reads its own days alone.
with interactions as (

    select * from {{ ref('int_interactions_deduplicated') }}

),

item_ranked as (

    select
        *,
        count(*) over (partition by user_id, arrived_at) as count_events_day,
        dense_rank() over (partition by user_id, arrived_at order by item_id) as item_rank_day
    from interactions

),

measured as (

    select
        *,
        max(item_rank_day) over (partition by user_id, arrived_at) as count_items_day
    from item_ranked

),

human as (

    select
        event_id,
        user_id,
        item_id,
        event_type,
        event_value,
        session_id,
        surface,
        occurred_at,
        arrived_at
    from measured
    where not {{ is_bot('count_events_day', 'count_items_day') }}

)

select * from human
