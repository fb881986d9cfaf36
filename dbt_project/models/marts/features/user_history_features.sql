with users as (

    select * from {{ ref('dim_users') }}

),

interactions as (

    select * from {{ ref('fct_interactions') }}
    where arrived_at < {{ as_of() }} and occurred_at < {{ as_of() }}

),

numbered as (

    select
        *,
        row_number() over (partition by user_id order by occurred_at desc, event_id desc) as recency_rank
    from interactions

),

latest as (

    select * from numbered
    where recency_rank <= {{ var('history_length') }}

),

histories as (

    select
        user_id,
        {{ ordered_list('item_id', 'occurred_at, event_id') }} as history_item_ids,
        {{ ordered_list('occurred_at', 'occurred_at, event_id') }} as history_occurred_at,
        {{ ordered_list('event_type', 'occurred_at, event_id') }} as history_event_types
    from latest
    group by user_id

),

complete as (

    select
        users.user_id,
        {{ as_of() }} as event_timestamp,
        coalesce(histories.history_item_ids, {{ empty_strings() }}) as history_item_ids,
        coalesce(histories.history_occurred_at, {{ empty_timestamps() }}) as history_occurred_at,
        coalesce(histories.history_event_types, {{ empty_strings() }}) as history_event_types
    from users
    left join histories
        on users.user_id = histories.user_id

)

select * from complete
