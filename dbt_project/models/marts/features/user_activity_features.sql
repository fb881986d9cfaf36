{%- set windows = [1, 7, 30, 180] -%}
{%- set event_types = ['view', 'click', 'play', 'like', 'save', 'purchase', 'rating'] -%}
with users as (

    select * from {{ ref('dim_users') }}

),

interactions as (

    select * from {{ ref('int_interactions_joined') }}

),

categories as (

    select * from {{ ref('int_categories_measured') }}

),

counted as (

    select
        user_id,
        {% for days in windows %}
        {% for event_type in event_types %}
        {{ count_window(days, "event_type = '" ~ event_type ~ "'") }} as count_{{ event_type }}_{{ days }}d,
        {% endfor %}
        count(distinct case when occurred_at >= {{ window_start(days) }} then cast(occurred_at as date) end)
            as count_active_days_{{ days }}d,
        {% endfor %}
        count(distinct item_id) as count_items_180d,
        {{ share('extract(hour from occurred_at) < 6') }} as share_night_180d,
        {{ share('extract(hour from occurred_at) between 6 and 11') }} as share_morning_180d,
        {{ share('extract(hour from occurred_at) between 12 and 17') }} as share_afternoon_180d,
        {{ share('extract(hour from occurred_at) >= 18') }} as share_evening_180d,
        {{ share(is_weekend('occurred_at')) }} as share_weekend_180d,
        count(distinct case when occurred_at >= {{ window_start(30) }} then session_key end) as count_sessions_30d,
        {{ count_window(30) }} as count_events_30d
    from interactions
    group by user_id

),

complete as (

    select
        users.user_id,
        {{ as_of() }} as event_timestamp,
        {% for days in windows %}
        {% for event_type in event_types %}
        counted.count_{{ event_type }}_{{ days }}d,
        {% endfor %}
        {% endfor %}
        {% for days in windows %}
        counted.count_active_days_{{ days }}d,
        {% endfor %}
        users.count_events as count_events_all,
        round(greatest({{ days_between('coalesce(users.last_event_at, users.known_since)', as_of()) }}, 0.0), 6)
            as recency_days,
        counted.count_items_180d,
        coalesce(categories.count_categories, 0) as count_categories_180d,
        coalesce(categories.category_entropy, 0.0) as category_entropy_180d,
        counted.share_night_180d,
        counted.share_morning_180d,
        counted.share_afternoon_180d,
        counted.share_evening_180d,
        counted.share_weekend_180d,
        counted.count_sessions_30d,
        coalesce(round(cast(counted.count_events_30d as double) / nullif(counted.count_sessions_30d, 0), 6), 0.0)
            as session_length_mean_30d
    from users
    inner join counted
        on users.user_id = counted.user_id
    left join categories
        on users.user_id = categories.user_id

)

select * from complete
