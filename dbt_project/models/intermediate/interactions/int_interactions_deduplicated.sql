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

deliveries as (

    select
        event_id,
        arrived_at
    from {{ ref('stg_logs__interactions').render() }}

),

first_deliveries as (

    select
        deliveries.event_id,
        min(deliveries.arrived_at) as first_arrived_at
    from deliveries
    inner join (select distinct event_id from arrivals) as arriving
        on deliveries.event_id = arriving.event_id
    group by deliveries.event_id

),

numbered as (

    select
        arrivals.*,
        row_number() over (
            partition by arrivals.event_id
            order by
                arrivals.occurred_at, arrivals.user_id, arrivals.item_id, arrivals.event_type,
                arrivals.event_value, arrivals.session_id, arrivals.surface
        ) as delivery_number
    from arrivals
    inner join first_deliveries
        on
            arrivals.event_id = first_deliveries.event_id
            and arrivals.arrived_at = first_deliveries.first_arrived_at

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
