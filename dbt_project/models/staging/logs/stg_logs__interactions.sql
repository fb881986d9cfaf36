{{ config(event_time='arrived_at') }}

with source as (

    select * from {{ source('logs', 'interactions') }}

),

renamed as (

    select
        event_id,
        user_id,
        item_id,
        event_type,
        event_value,
        session_id,
        surface,
        {{ utc_timestamp('occurred_at') }} as occurred_at,
        cast(dt as timestamp) as arrived_at
    from source

)

select * from renamed
