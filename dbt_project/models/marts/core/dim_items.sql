with items as (

    select * from {{ ref('stg_logs__items') }}
    where arrived_at < {{ as_of() }}

),

interactions as (

    select * from {{ ref('fct_interactions') }}
    where arrived_at < {{ as_of() }} and occurred_at < {{ as_of() }}

),

numbered as (

    select
        *,
        row_number() over (
            partition by item_id
            order by arrived_at desc, created_at desc, category asc, subcategory asc, title asc
        ) as version_number,
        min(arrived_at) over (partition by item_id) as first_arrived_at
    from items

),

declared as (

    select * from numbered
    where version_number = 1

),

active as (

    select
        item_id,
        min(occurred_at) as first_event_at,
        max(occurred_at) as last_event_at,
        count(*) as count_events,
        count(distinct user_id) as count_users
    from interactions
    group by item_id

),

known as (

    select
        coalesce(declared.item_id, active.item_id) as item_id,
        declared.category,
        declared.subcategory,
        declared.title,
        declared.attributes,
        coalesce(declared.created_at, active.first_event_at, declared.first_arrived_at) as known_since,
        active.last_event_at,
        coalesce(active.count_events, 0) as count_events,
        coalesce(active.count_users, 0) as count_users
    from declared
    full outer join active
        on declared.item_id = active.item_id

)

select * from known
