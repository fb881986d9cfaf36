{# Whether a user-day of so many events on so many distinct items is a bot's. #}
{% macro is_bot(count_events, count_items) -%}
(
    {{ count_events }} >= {{ var('bot_min_events') }}
    and {{ count_items }} <= {{ var('bot_max_item_share') }} * {{ count_events }}
)
{%- endmacro %}

{# The same rule in words, for whoever asks why somebody's events are missing. #}
{% macro bot_rule() -%}
bot: a day of at least {{ var('bot_min_events') }} events on distinct items of at most {{ var('bot_max_item_share') }} times their number
{%- endmacro %}
