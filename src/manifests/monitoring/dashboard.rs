//! The dashboard as Grafana's model has it: the table of panels, laid out.

use serde_json::{Value, json};

use super::panels::{Form, Panel, ROWS};

/// The width of the whole, in Grafana's units.
const WIDTH: usize = 24;

/// The dashboard in Grafana's own model.
pub(super) fn dashboard() -> Value {
    let mut panels = Vec::new();
    let mut top = 0;
    for row in ROWS {
        panels.push(json!({
            "collapsed": false,
            "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": top},
            "id": panels.len() + 1,
            "panels": [],
            "title": row.title,
            "type": "row",
        }));
        top += 1;
        let mut left = 0;
        let mut height = 0;
        for panel in row.panels {
            let width;
            (width, height) = panel.form.size();
            if left + width > WIDTH {
                (left, top) = (0, top + height);
            }
            let place = json!({"h": height, "w": width, "x": left, "y": top});
            panels.push(panel.drawn(panels.len() + 1, &place));
            left += width;
        }
        top += height;
    }
    json!({
        "annotations": {"list": []},
        "description": "Pullkey: the admission webhook and the controller.",
        "editable": true,
        "graphTooltip": 1,
        "links": [],
        "panels": panels,
        "refresh": "30s",
        "schemaVersion": 39,
        "tags": ["kubernetes", "pullkey"],
        "templating": {"list": [{
            "current": {},
            "hide": 0,
            "label": "Data source",
            "name": "datasource",
            "options": [],
            "query": "prometheus",
            "refresh": 1,
            "type": "datasource",
        }]},
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "title": "Pullkey",
        "uid": "pullkey",
    })
}

impl Panel {
    fn drawn(&self, id: usize, place: &Value) -> Value {
        let source = json!({"type": "prometheus", "uid": "${datasource}"});
        let targets = self.queries.iter().zip('A'..).map(|((query, legend), name)| {
            json!({
                "datasource": source,
                "expr": query,
                "instant": self.form.is_instant(),
                "legendFormat": legend,
                "range": !self.form.is_instant(),
                "refId": name,
            })
        });
        let (kind, defaults, options) = self.form.settings(self.unit);
        json!({
            "datasource": source,
            "description": self.about,
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "gridPos": place,
            "id": id,
            "options": options,
            "targets": targets.collect::<Vec<_>>(),
            "title": self.title,
            "type": kind,
        })
    }
}

impl Form {
    fn is_instant(&self) -> bool {
        matches!(self, Self::Value(_))
    }

    /// Width and height.
    fn size(&self) -> (usize, usize) {
        match self {
            Self::Value(_) => (WIDTH / 8, 4),
            Self::Lines => (WIDTH / 4, 7),
        }
    }

    /// What Grafana calls it, the defaults of its fields, and its options.
    fn settings(&self, unit: &str) -> (&'static str, Value, Value) {
        match self {
            Self::Value(steps) => {
                let steps = steps.iter().map(|(from, color)| json!({"color": color, "value": from}));
                let steps: Vec<_> = steps.collect();
                (
                    "stat",
                    json!({"decimals": 0, "thresholds": {"mode": "absolute", "steps": steps}, "unit": unit}),
                    json!({
                        "colorMode": "value",
                        "graphMode": "none",
                        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
                    }),
                )
            }
            Self::Lines => (
                "timeseries",
                json!({"custom": {"fillOpacity": 10, "showPoints": "never"}, "min": 0, "unit": unit}),
                json!({
                    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true},
                    "tooltip": {"mode": "multi", "sort": "desc"},
                }),
            ),
        }
    }
}
