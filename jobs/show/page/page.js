"use strict";
// Draws what the page holds in its JSON: panels when they come into view, choices, and the figure with controls.
// Text from outside becomes text nodes only. Expressions run in Vega's interpreter: the page's policy forbids eval.
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const specs = read("specs");
  const OPTIONS = { actions: false, renderer: "svg", ast: true, tooltip: { theme: "custom" } };
  const CONFIG = {
    background: null,
    font: "system-ui, sans-serif",
    view: { stroke: null },
    axis: { labelColor: "currentColor", titleColor: "currentColor", domainColor: "currentColor", tickColor: "currentColor",
            gridColor: "#8080804d", titleFontWeight: "normal", labelFontSize: 11, titleFontSize: 12 },
    title: { color: "currentColor", fontSize: 12, fontWeight: "normal" },
  };
  const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C564B"];
  const GREY = "#808080"; // groups beyond the seventh
  const SHAPES = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right"];
  const draw = (element, spec) => vegaEmbed(element, { ...spec, config: CONFIG }, OPTIONS).then((result) => {
    element.dataset.drawn = "yes";
    performance.mark("figure");
    return result;
  });

  const panel = (element) => { element.dataset.begun ??= (draw(element, specs[Number(element.dataset.spec)]), "yes"); };
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); panel(entry.target); }
  }, { rootMargin: "400px" });
  document.querySelectorAll("[data-spec]").forEach((element) => seen.observe(element));
  window.addEventListener("beforeprint", () => document.querySelectorAll("[data-spec]").forEach(
    (element) => { if (element.offsetParent) panel(element); }));

  document.querySelectorAll("select[data-choice]").forEach((select) => {
    const show = () => document.getElementById(select.dataset.choice).querySelectorAll(":scope > figure").forEach(
      (figure, i) => { figure.hidden = i !== select.selectedIndex; });
    select.addEventListener("change", show);
    show();
  });

  const cell = (row, tag, text, scope) => {
    const made = row.appendChild(document.createElement(tag));
    made.textContent = text;
    if (scope) made.scope = scope;
  };
  const table = (body, rows) => {
    body.replaceChildren();
    for (const [head, ...rest] of rows) {
      const row = body.appendChild(document.createElement("tr"));
      cell(row, "th", head, "row");
      rest.forEach((text) => cell(row, "td", text));
    }
  };
  const share = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));
  const digits = (value) => (value === null || value === undefined ? "–" : String(Number(value.toPrecision(4))));

  const explore = (root) => {
    const data = read(root.dataset.explorer);
    const control = (name) => root.querySelector(`select[name=${name}]`);
    const fill = (select, names, keep) => {
      const before = select.options.length ? select.value : undefined;
      select.replaceChildren(...names.map(([value, text]) => new Option(text, value)));
      if (keep && names.some(([value]) => value === before)) select.value = before;
    };
    const population = () => data.populations.find(
      (one) => one.profile === control("profile").value && one.target === control("target").value);
    const distinct = (values) => [...new Set(values)].map((value) => [value, value]);
    fill(control("profile"), distinct(data.populations.map((one) => one.profile)));
    fill(control("direction"), data.directions.map((name, i) => [String(i), name]));
    const targets = () => fill(control("target"), distinct(
      data.populations.filter((one) => one.profile === control("profile").value).map((one) => one.target)), true);
    const metrics = () => fill(control("metric"),
      Object.keys(population().values).map((name) => [name, name]), true);
    const groupings = () => fill(control("grouping"),
      [...Object.keys(population().groups).map((name) => [name, name]), ["", "none"]], true);
    const names = () => {
      const groups = population().groups[control("grouping").value] ?? [];
      fill(control("group"), [["", "all groups"], ...distinct(groups.filter((name) => name !== null)).sort()], true);
    };

    const line = (found, colour) => {
      if (found.slope === undefined || found.slope === null) return [];
      const rows = [];
      for (let i = 0; i <= 40; i += 1) {
        const x = found.low + ((found.high - found.low) * i) / 40;
        const y = found.intercept + found.slope * x;
        const half = found.half === undefined ? 0 : found.half * Math.hypot(x - found.mean, found.spread);
        rows.push({ x, y, low: y - half, high: y + half });
      }
      const at = (field) => ({ field, type: "quantitative", scale: { zero: false, nice: false, padding: 8 } });
      return [
        { data: { values: rows }, mark: { type: "area", color: colour, opacity: 0.15, aria: false, clip: true },
          encoding: { x: at("x"), y: at("low"), y2: { field: "high" } } },
        { data: { values: rows }, mark: { type: "line", color: colour, strokeWidth: 2, aria: false, clip: true },
          encoding: { x: at("x"), y: at("y") } },
      ];
    };

    const render = () => {
      const one = population(), metric = control("metric").value, grouping = control("grouping").value;
      const direction = control("direction").value, only = control("group").value;
      const groups = one.groups[grouping] ?? one.models.map(() => null);
      const key = `${metric}|${grouping || Object.keys(one.groups)[0]}|${direction}`;
      const lines = one.lines[key] ?? {};
      const listed = grouping ? Object.keys(lines).filter((name) => name !== "all") : [];
      listed.sort((a, b) => lines[b].n - lines[a].n); // colours go to the largest
      const shown = only ? [only] : listed;
      const values = one.models.map((name, i) => ({
        name, group: groups[i] ?? "", x: direction === "0" ? one.values[metric][i] : one.reported[i],
        y: direction === "0" ? one.reported[i] : one.values[metric][i],
      })).filter((row) => row.x !== null && row.y !== null && (!only || row.group === only));
      const labels = [data.metrics[metric] ?? metric, one.y];
      if (direction === "1") labels.reverse();
      const ticks = { x: { axis: { tickCount: { expr: "ceil(width / 75)" }, labelOverlap: true, labelSeparation: 6 } } };
      const at = (field, title) => ({ field, type: "quantitative", title: title.split(/(?<=,) /), ...ticks[field],
                                      scale: { zero: false, nice: false, padding: 8 } });
      const order = listed.length ? listed : [""];
      const colour = (name) => (only || !listed.length ? COLOURS[0] : COLOURS[order.indexOf(name)] ?? GREY);
      const look = { domain: order, range: order.map(colour) };
      const shapes = { domain: order, range: order.map((_, i) => SHAPES[i] ?? "circle") };
      const points = {
        data: { values }, params: [{ name: "zoom", select: "interval", bind: "scales" }],
        mark: { type: "point", filled: true, size: 50, opacity: 0.85, aria: false, clip: true },
        encoding: {
          x: at("x", labels[0]), y: at("y", labels[1]),
          color: { field: "group", type: "nominal", scale: look, legend: null },
          shape: { field: "group", type: "nominal", scale: shapes, legend: null },
          tooltip: [{ field: "name", type: "nominal" }, { field: "group", type: "nominal", title: grouping || "group" },
                    { field: "x", type: "quantitative", title: labels[0], format: ".5~g" },
                    { field: "y", type: "quantitative", title: labels[1], format: ".5~g" }],
        },
      };
      const drawn = shown.flatMap((name) => line(lines[name] ?? {}, colour(name)).slice(shown.length > 4 ? -1 : 0));
      const alone = only || (shown.length === 1 && lines[shown[0]].n === lines.all.n);
      const pooled = alone ? [] : line(lines.all ?? {}, "currentColor");
      const said = (name) => {
        const found = lines[name] ?? { n: 0 };
        return found.slope === undefined || found.slope === null
          ? `${name}: n ${found.n}, too few for a line`
          : `${name}: n ${found.n}, R2 ${share(found.r2)}, tau ${share(found.tau)}, slope ${digits(found.slope)}`;
      };
      root.querySelector("[role=status]").textContent = said(only || "all");
      const fitted = only ? shown : shown.filter((name) => (lines[name].slope ?? null) !== null);
      const items = (grouping ? fitted : []).map((name) => {
        const item = document.createElement("li"), mark = document.createElement("span");
        mark.className = "swatch";
        mark.style.background = colour(name);
        item.append(mark, said(name));
        return item;
      });
      if (grouping && fitted.length < shown.length) {
        const item = document.createElement("li");
        item.textContent = `${shown.length - fitted.length} more in the table, too few models for a line`;
        items.push(item);
      }
      root.querySelector(".legend").replaceChildren(...items);
      const width = { $schema: "https://vega.github.io/schema/vega-lite/v6.json", width: "container", height: 340 };
      const description = `${labels[1]} against ${labels[0]}; ${said(only || "all")}`;
      const chart = root.querySelector(".chart");
      if (values.length) draw(chart, { ...width, description, layer: [...pooled, ...drawn, points] });
      else chart.textContent = `No model of ${only || "this data set"} has both numbers.`;
      table(root.querySelector("tbody.lines"), ["all", ...listed].map((name) => {
        const found = lines[name] ?? {};
        return [name, String(found.n ?? 0), digits(found.slope), digits(found.intercept), digits(found.r2), digits(found.tau)];
      }));
      table(root.querySelector("tbody.points"), values.map((row) => [row.name, row.group, digits(row.x), digits(row.y)]));
    };
    const from = { profile: [targets, metrics, groupings, names], target: [metrics, groupings, names], metric: [],
                   grouping: [names], direction: [], group: [] };
    for (const [name, steps] of Object.entries(from)) {
      control(name).addEventListener("change", () => { steps.forEach((step) => step()); render(); });
    }
    [targets, metrics, groupings, names].forEach((step) => step());
    render();
  };
  document.querySelectorAll("[data-explorer]").forEach(explore);
})();
