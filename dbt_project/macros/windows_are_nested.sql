{# A shorter window never counts more than a longer one. Fails with the offending users. #}
{% test windows_are_nested(model) %}
select user_id
from {{ model }}
where
    count_active_days_1d > count_active_days_7d
    or count_active_days_7d > count_active_days_30d
    or count_active_days_30d > count_active_days_180d
    or count_view_1d > count_view_180d
    or count_purchase_1d > count_purchase_180d
    or count_items_180d > count_events_all
{% endtest %}
