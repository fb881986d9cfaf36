{{ config(event_time='arrived_at') }}

-- A session named by the log is kept; else one ends after a gap. Both end with the arrival day, so that
-- a later day never rewrites an earlier one.
with interactions as (

    select * from {{ ref('int_interactions_weighted') }}

),

gaps as (

    select
        *,
        lag(occurred_at) over (
            partition by user_id, arrived_at
            order by occurred_at, event_id
        ) as previous_occurred_at
    from interactions

),

starts as (

    select
        *,
        case
            when previous_occurred_at is null then 1
            when {{ seconds_between('previous_occurred_at', 'occurred_at') }}
                > {{ var('session_gap_minutes') }} * 60 then 1
            else 0
        end as starts_session
    from gaps

),

numbered as (

    select
        *,
        sum(starts_session) over (
            partition by user_id, arrived_at
            order by occurred_at, event_id
            rows between unbounded preceding and current row
        ) as session_number
    from starts

),

sessionised as (

    select
        event_id,
        user_id,
        item_id,
        event_type,
        event_value,
        weight,
        occurred_at,
        arrived_at,
        concat(
            user_id, ':',
            coalesce(session_id, concat(cast(cast(arrived_at as date) as string), '#', cast(session_number as string)))
        ) as session_key
    from numbered

)

select * from sessionised
