{{ config(
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='arrived_at',
    batch_size=var('batch_size'),
    begin='1970-01-01',
    lookback=0,
    concurrent_batches=false,
    on_schema_change='fail',
    partition_by=['arrived_at'] if target.type == 'spark' else none
) }}

with interactions as (

    select * from {{ ref('int_interactions_sessionised') }}

),

facts as (

    select
        event_id,
        user_id,
        item_id,
        event_type,
        event_value,
        weight,
        occurred_at,
        arrived_at,
        session_key
    from interactions

)

select * from facts
