{%- set windows = [1, 7, 30, 180] -%}
with items as (

    select * from {{ ref('dim_items') }}

),

interactions as (

    select * from {{ ref('fct_interactions') }}
    where
        arrived_at < {{ as_of() }}
        and occurred_at < {{ as_of() }}
        and occurred_at >= {{ window_start(180) }}

),

counted as (

    select
        {% for days in windows %}
        {{ count_window(days) }} as count_interactions_{{ days }}d,
        {% endfor %}
        item_id
    from interactions
    group by item_id

),

complete as (

    select
        items.item_id,
        {{ as_of() }} as event_timestamp,
        {% for days in windows %}
        coalesce(counted.count_interactions_{{ days }}d, 0) as count_interactions_{{ days }}d,
        {% endfor %}
        items.count_events as count_interactions_all,
        items.count_users as count_users_all,
        round(greatest({{ days_between('coalesce(items.last_event_at, items.known_since)', as_of()) }}, 0.0), 6)
            as recency_days
    from items
    left join counted
        on items.item_id = counted.item_id

)

select * from complete
