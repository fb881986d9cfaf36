{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='arrived_at',
    batch_size=var('batch_size'),
    begin='1970-01-01',
    lookback=0,
    concurrent_batches=false,
    partition_by=['arrived_at'] if target.type == 'spark' else none
) }}

-- Logs are at-least-once: of the deliveries of one event, the first to arrive counts, whatever the batch size.
with arrivals as (

    select * from {{ ref('stg_logs__interactions') }}

),

earlier_deliveries as (

    select distinct event_id from {{ ref('stg_logs__interactions').render() }}
    where arrived_at < {{ batch_start() }}

),

new_arrivals as (

    select arrivals.*
    from arrivals
    left join earlier_deliveries
        on arrivals.event_id = earlier_deliveries.event_id
    where earlier_deliveries.event_id is null

),

numbered as (

    select
        *,
        row_number() over (
            partition by event_id
            order by
                arrived_at, occurred_at, user_id, item_id, event_type, event_value, session_id, surface
        ) as delivery_number
    from new_arrivals

),

deduplicated as (

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
    from numbered
    where delivery_number = 1

)

select * from deduplicated
