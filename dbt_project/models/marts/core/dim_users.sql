with users as (

    select * from {{ ref('stg_logs__users') }}
    where arrived_at < {{ as_of() }} and valid_from < {{ as_of() }}

),

interactions as (

    select * from {{ ref('fct_interactions') }}
    where arrived_at < {{ as_of() }} and occurred_at < {{ as_of() }}

),

numbered as (

    select
        *,
        row_number() over (
            partition by user_id
            order by
                valid_from desc, arrived_at desc, signed_up_at desc,
                country asc, language asc, age_band asc, gender asc, occupation asc
        ) as version_number
    from users

),

declared as (

    select * from numbered
    where version_number = 1

),

active as (

    select
        user_id,
        min(occurred_at) as first_event_at,
        max(occurred_at) as last_event_at,
        count(*) as count_events
    from interactions
    group by user_id

),

known as (

    select
        coalesce(declared.user_id, active.user_id) as user_id,
        declared.country,
        declared.language,
        declared.age_band,
        declared.gender,
        declared.occupation,
        declared.onboarding_item_ids,
        declared.onboarding_categories,
        coalesce(declared.signed_up_at, active.first_event_at, declared.valid_from) as known_since,
        active.last_event_at,
        coalesce(active.count_events, 0) as count_events
    from declared
    full outer join active
        on declared.user_id = active.user_id

)

select * from known
