"use strict";
// Everything that comes from a run enters the page as text (textContent, encodeHTML), never as HTML.
(async () => {
  const unpack = async (id) => {
    const element = document.getElementById(id);
    const text = element ? element.textContent.trim() : "";
    if (!text) return "";
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value !== false && value !== null) element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  };
  const shown = (value) => {
    if (value === null || value === undefined || value === "") return "-";
    if (typeof value !== "number") return String(value);
    if (Number.isInteger(value)) return value.toLocaleString("en-US");
    return Math.abs(value) >= 1e6 || Math.abs(value) < 1e-4 ? value.toExponential(3) : Number(value.toPrecision(5)).toString();
  };
  const save = (name, kind, content) => {
    const address = content.startsWith("data:") ? content : URL.createObjectURL(new Blob([content], { type: kind }));
    make("a", { href: address, download: name }).click();
  };
  const csv = (columns, rows) => {
    // A spreadsheet calculates what begins like a formula.
    const safe = (cell) => (typeof cell === "string" && /^[=+@\t\r-]/.test(cell) ? "'" + cell : cell);
    const quoted = (cell) => {
      const text = cell === null || cell === undefined ? "" : String(safe(cell));
      return /[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
    };
    return [columns, ...rows].map((row) => row.map(quoted).join(",")).join("\r\n") + "\r\n";
  };

  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async () => {
      const text = button.parentElement.querySelector("pre").textContent;
      try { await navigator.clipboard.writeText(text); } catch {
        const area = make("textarea"); area.value = text; document.body.append(area); area.select(); document.execCommand("copy"); area.remove();
      }
      button.textContent = "copied";
      setTimeout(() => (button.textContent = "copy"), 1500);
    });
  }

  const data = JSON.parse((await unpack("data")) || '{"charts":{},"grids":{}}');
  const grids = {};
  const charts = [];

  // Long code is folded: the beginning, and the whole on demand.
  const folded = (text) => text.length <= 72 ? text : make("details", {}, make("summary", {}, text.slice(0, 64) + "\u2026"), text);

  // ---- tables that sort and filter
  const MOST = 20;
  const setGrid = (host, grid) => {
    const numeric = grid.columns.map((_, i) => grid.rows.some((row) => typeof row[i] === "number") && grid.rows.every((row) => typeof row[i] !== "string"));
    const state = { column: -1, up: true, words: "", keys: null, most: MOST, chosen: null };
    const link = grid.columns.indexOf(grid.link);
    const lower = grid.rows.map((row) => row.map(shown).concat(row.map(String)).join(" ").toLowerCase());
    const byKey = new Map(link >= 0 ? grid.rows.map((row) => [String(row[link]), row]) : []);
    const search = make("input", { type: "search", placeholder: "filter", "aria-label": "filter " + grid.title,
      oninput: () => { state.words = search.value.toLowerCase(); state.most = MOST; draw(); } });
    const clear = make("button", { type: "button", onclick: () => { state.keys = null; state.chosen = null; search.value = state.words = ""; draw(); charts.forEach((one) => one.unbrush()); } }, "show all");
    const count = make("span", { class: "muted", role: "status" });
    const more = make("button", { type: "button", onclick: () => { state.most *= 10; draw(); } }, "show more");
    const heads = grid.columns.map((name, i) => {
      const mark = make("span", { "aria-hidden": "true" });
      const button = make("button", { type: "button", onclick: () => {
        state.up = state.column === i ? !state.up : !numeric[i]; state.column = i; draw();
      } }, name, mark);
      return { head: make("th", { scope: "col", class: numeric[i] ? "num" : null }, button), mark };
    });
    const body = make("tbody");
    const table = make("table", {}, make("caption", { class: "skip" }, grid.title), make("thead", {}, make("tr", {}, ...heads.map((one) => one.head))), body);
    const compare = (a, b) => {
      const [left, right] = [a[state.column], b[state.column]];
      const empty = (value) => value === null || value === undefined || value === "";
      if (empty(left) || empty(right)) return empty(left) - empty(right); // what is missing comes last, either way
      const order = typeof left === "number" && typeof right === "number" ? left - right : String(left).localeCompare(String(right), "en", { numeric: true });
      return state.up ? order : -order;
    };
    const draw = () => {
      const words = state.words.split(/\s+/).filter(Boolean);
      let rows = grid.rows.map((row, i) => [row, i]).filter(([row, i]) =>
        words.every((word) => lower[i].includes(word)) && (!state.keys || state.keys.has(String(row[link])))).map(([row]) => row);
      if (state.column >= 0) rows = [...rows].sort(compare);
      heads.forEach(({ head, mark }, i) => {
        const sorted = i === state.column;
        head.setAttribute("aria-sort", sorted ? (state.up ? "ascending" : "descending") : "none");
        mark.textContent = sorted ? (state.up ? " \u25b2" : " \u25bc") : "";
      });
      body.replaceChildren(...rows.slice(0, state.most).map((row) => make("tr", { class: link >= 0 && String(row[link]) === state.chosen ? "chosen" : null },
        ...row.map((cell, i) => make("td", { class: grid.code.includes(grid.columns[i]) ? "code" : numeric[i] ? "num" : null }, grid.code.includes(grid.columns[i]) ? folded(shown(cell)) : shown(cell))))));
      const seen = Math.min(rows.length, state.most);
      count.textContent = `${seen.toLocaleString("en-US")} of ${rows.length.toLocaleString("en-US")} rows` + (rows.length < grid.rows.length ? `, filtered from ${grid.rows.length.toLocaleString("en-US")}` : "");
      more.hidden = seen >= rows.length;
      clear.disabled = !state.keys && !state.words && state.chosen === null;
      current = rows;
    };
    let current = grid.rows;
    host.append(
      make("div", { class: "bar" }, search, clear, count, more, make("button", { type: "button", onclick: () => save(grid.key + ".csv", "text/csv", csv(grid.columns, current)) }, "CSV")),
      make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": grid.title }, table));
    draw();
    grids[grid.key] = {
      filter: (keys) => { state.keys = keys; state.most = MOST; draw(); },
      choose: (key) => { state.chosen = key; state.keys = new Set([key]); draw(); },
      cell: (key, name) => { const row = byKey.get(key); return row ? row[grid.columns.indexOf(name)] : null; },
      links: link >= 0,
    };
  };
  for (const host of document.querySelectorAll("[data-grid]")) setGrid(host, data.grids[host.dataset.grid]);

  // ---- charts
  const SYMBOLS = ["circle", "diamond", "triangle", "rect", "roundRect", "pin", "arrow"];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const setChart = (host, chart, library) => {
    const at = (name) => chart.columns.indexOf(name);
    const canvas = host.querySelector(".canvas");
    const key = at(chart.link);
    const target = key >= 0 ? Object.values(grids).find((grid) => grid.links) : null;
    const picture = library.init(canvas, null, { renderer: "svg" });
    const encode = library.format.encodeHTML;
    const told = (row, name) => at(name) >= 0 ? row[at(name)] : target ? target.cell(String(row[key]), name) : null;
    const hover = (row, columns) => columns.map((name) => `<div style="max-width:min(70vw,420px);white-space:normal;overflow-wrap:anywhere"><b>${encode(name)}</b> ${encode(shown(told(row, name)))}</div>`).join("");
    const rowsOf = (mark) => chart.rows.filter((row) => (mark.where.length === 0 || row[at(mark.where[0])] === mark.where[1]) && row[at(mark.y)] !== null && row[at(mark.x)] !== null && (chart.floor === null || row[at(mark.y)] >= chart.floor || mark.kind === "band"));
    const colors = () => chart.marks.map((mark, i) => css("--c" + ((mark.color < 0 ? i : mark.color) % 7)));
    const option = () => {
      const ink = css("--ink"), muted = css("--muted"), line = css("--line"), paper = css("--paper");
      const palette = colors();
      const narrow = canvas.clientWidth < 520;
      const names = [...new Set(chart.marks.flatMap((mark) => rowsOf(mark).map((row) => String(row[at(mark.x)]))))];
      const tilted = names.length * Math.min(130, 7 * Math.max(0, ...names.map((name) => name.length))) > canvas.clientWidth - 90;
      const series = chart.marks.map((mark, i) => {
        const rows = rowsOf(mark), x = at(mark.x), y = at(mark.y), high = at(mark.high);
        const columns = chart.hover.length ? chart.hover : [...new Set([mark.x, mark.y, mark.high].filter(Boolean))];
        const common = { name: mark.name, color: palette[i], z: 2 + i, animation: false, tooltip: { formatter: (p) => hover(rows[p.dataIndex], columns) } };
        const values = rows.map((row) => ({ value: [chart.categories ? String(row[x]) : row[x], row[y]], key: key >= 0 ? String(row[key]) : null }));
        if (mark.kind === "dots") return { ...common, type: "scatter", data: values, symbol: SYMBOLS[i % 7], symbolSize: rows.length > 800 ? 4 : rows.length > 150 ? 6 : 9, itemStyle: { opacity: rows.length > 400 ? 0.55 : 0.85 }, emphasis: { scale: 1.6 } };
        if (mark.kind === "line" || mark.kind === "steps") return { ...common, type: "line", data: values, step: mark.kind === "steps" ? "end" : false, symbol: SYMBOLS[i % 7], symbolSize: rows.length > 60 ? 4 : 7, showSymbol: mark.points && rows.length <= 60, lineStyle: { width: 2.2, type: ["solid", "dashed", "dotted"][Math.floor(i / 7) % 3] } };
        if (mark.kind === "bars") return { ...common, type: "bar", data: values, barMaxWidth: 44 };
        const ends = rows.map((row) => [chart.categories ? String(row[x]) : row[x], row[y], row[high]]);
        if (mark.kind === "intervals") return { ...common, type: "custom", data: ends, encode: { x: 0, y: [1, 2] }, renderItem: (_, api) => {
          const low = api.coord([api.value(0), api.value(1)]), top = api.coord([api.value(0), api.value(2)]);
          const stroke = { stroke: palette[i], lineWidth: 2 };
          return { type: "group", children: [[low, top], [[low[0] - 6, low[1]], [low[0] + 6, low[1]]], [[top[0] - 6, top[1]], [top[0] + 6, top[1]]]].map(([a, b]) => ({ type: "line", shape: { x1: a[0], y1: a[1], x2: b[0], y2: b[1] }, style: stroke })) };
        } };
        return { ...common, type: "custom", itemStyle: { color: palette[i], opacity: 0.35 }, clip: true, silent: true, z: 1, data: ends, encode: { x: 0, y: [1, 2] }, renderItem: (params, api) => params.dataIndex ? null : { type: "polygon", shape: { points: [...ends.map((end) => api.coord([end[0], end[2]])), ...ends.map((end) => api.coord([end[0], end[1]])).reverse()] }, style: { fill: palette[i], opacity: 0.16 } } };
      });
      if (chart.lines.length && series.length) series[series.length - 1].markLine = { silent: true, symbol: "none", lineStyle: { color: muted, type: "dashed" }, label: { color: muted, formatter: "{b}" }, data: chart.lines.map(([x, name]) => ({ xAxis: x, name })) };
      const axis = (name, more) => ({ name: name || undefined, nameLocation: "middle", nameTextStyle: { color: ink, fontSize: 12 }, axisLabel: { color: ink, hideOverlap: true, showMinLabel: more.min === undefined, formatter: more.type === "category" ? undefined : (v) => Math.abs(v) >= 1e6 ? v / 1e6 + " M" : Math.abs(v) >= 1e4 ? v / 1e3 + " k" : String(Number(v.toPrecision(6))) }, axisLine: { onZero: more.type === "category", lineStyle: { color: muted } }, splitLine: { lineStyle: { color: line } }, scale: true, ...more });
      const brushes = target && chart.marks.some((mark) => mark.kind === "dots");
      return {
        aria: { enabled: true }, toolbox: { show: false }, backgroundColor: "transparent", textStyle: { fontFamily: "system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif" },
        grid: { left: 64, right: 18, top: 12, bottom: chart.categories ? (chart.marks.length > 1 ? 36 : 6) + (tilted ? 78 : 24) + (chart.x ? 22 : 0) : chart.marks.length > 1 ? (narrow && chart.marks.length > 3 ? 96 : 74) : 50 },
        legend: chart.marks.length > 1 ? { bottom: 0, itemGap: 18, type: chart.marks.length > 6 ? "scroll" : "plain", textStyle: { color: ink }, inactiveColor: muted, pageTextStyle: { color: ink } } : { show: false },
        tooltip: { trigger: "item", confine: true, backgroundColor: paper, borderColor: muted, textStyle: { color: ink, fontSize: 12 } },
        xAxis: axis(chart.x, chart.categories ? { type: "category", nameGap: tilted ? 76 : 28, axisLabel: { color: ink, interval: 0, rotate: tilted ? 30 : 0, width: 130, overflow: "truncate" }, data: names } : { type: "value", nameGap: 26 }),
        yAxis: axis(chart.y, { type: "value", nameGap: 46, min: chart.floor === null ? undefined : chart.floor, scale: !chart.marks.some((mark) => mark.kind === "bars") }),
        series,
        ...(brushes ? { brush: { toolbox: [], xAxisIndex: "all", brushStyle: { borderColor: muted, color: "rgba(128,128,128,.18)" }, throttleType: "debounce", throttleDelay: 120 } } : {}),
      };
    };
    let place = -1, flat = [], selecting = null;
    const draw = () => {
      const chosen = option();
      flat = chosen.series.flatMap((series, s) => series.type === "custom" ? [] : series.data.map((point, i) => ({ s, i, key: point.key })));
      picture.setOption(chosen, true);
    };
    draw();
    const pick = (point) => { if (target && point && point.key !== null) target.choose(point.key); };
    picture.on("click", (event) => event.data && pick(event.data));
    picture.on("brushselected", (event) => {
      if (!target || !event.batch.length) return;
      const chosen = new Set();
      const { series } = picture.getOption();
      for (const one of event.batch[0].selected) for (const i of one.dataIndex) if (series[one.seriesIndex].data[i].key) chosen.add(series[one.seriesIndex].data[i].key);
      if (event.batch[0].areas.length) target.filter(chosen); else if (selecting === "done") target.filter(null);
      selecting = event.batch[0].areas.length ? "done" : null;
    });
    host.tabIndex = 0;
    host.addEventListener("keydown", (event) => {
      if (event.target !== host) return;
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step && flat.length) {
        place = (place + step + flat.length) % flat.length;
        picture.dispatchAction({ type: "showTip", seriesIndex: flat[place].s, dataIndex: flat[place].i });
        event.preventDefault();
      } else if (event.key === "Enter") pick(flat[place]);
      else if (event.key === "Escape") picture.dispatchAction({ type: "hideTip" });
    });
    const bar = make("div", { class: "bar" });
    if (target && chart.marks.some((mark) => mark.kind === "dots")) {
      const brush = make("button", { type: "button", "aria-pressed": "false", onclick: () => {
        const on = brush.getAttribute("aria-pressed") !== "true";
        brush.setAttribute("aria-pressed", on);
        brush.textContent = on ? "stop selecting" : "select a range";
        picture.dispatchAction({ type: "takeGlobalCursor", key: "brush", brushOption: on ? { brushType: "rect", brushMode: "single" } : { brushType: false } });
        if (!on) picture.dispatchAction({ type: "brush", areas: [] });
      } }, "select a range");
      bar.append(brush);
    }
    const svg = () => {
      const copy = canvas.querySelector("svg").cloneNode(true);
      copy.style.background = css("--paper");
      copy.style.fontFamily = "sans-serif";
      return new XMLSerializer().serializeToString(copy);
    };
    const png = () => {
      const image = new Image();
      image.onload = () => {
        const sheet = make("canvas", { width: 2 * canvas.clientWidth, height: 2 * canvas.clientHeight });
        const pen = sheet.getContext("2d");
        pen.fillStyle = css("--paper"); pen.fillRect(0, 0, sheet.width, sheet.height);
        pen.drawImage(image, 0, 0, sheet.width, sheet.height);
        save(chart.key + ".png", "", sheet.toDataURL("image/png"));
      };
      image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(svg());
    };
    bar.append(
      make("button", { type: "button", onclick: () => save(chart.key + ".csv", "text/csv", csv(chart.columns, chart.rows)) }, "CSV"),
      make("button", { type: "button", onclick: () => save(chart.key + ".svg", "image/svg+xml", svg()) }, "SVG"),
      make("button", { type: "button", onclick: png }, "PNG"));
    host.append(bar);
    let width = canvas.clientWidth;
    new ResizeObserver(() => {
      if (canvas.clientWidth === width) return;
      width = canvas.clientWidth; picture.resize(); draw();
    }).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    host.dataset.drawn = "true";
    charts.push({ picture, unbrush: () => picture.dispatchAction({ type: "brush", areas: [] }) });
  };
  const hosts = [...document.querySelectorAll("figure.chart")];
  if (hosts.length) {
    document.head.append(make("script", {}, await unpack("library")));
    // Charts far down the page wait until they are near, or the page is printed.
    const drawn = (host) => {
      near.unobserve(host);
      if (!host.dataset.drawn) setChart(host, data.charts[host.dataset.chart], window.echarts);
    };
    const near = new IntersectionObserver((entries) => entries.filter((one) => one.isIntersecting).forEach((one) => drawn(one.target)), { rootMargin: "600px" });
    hosts.forEach((host) => near.observe(host));
    addEventListener("beforeprint", () => hosts.forEach(drawn));
  }
  document.documentElement.dataset.ready = "true";

  // ---- a page that its server keeps up to date
  const live = document.querySelector("[data-live]");
  if (live) {
    const first = live.dataset.live;
    const ask = async () => {
      try {
        const answer = await (await fetch("state")).text();
        const busy = document.activeElement && document.activeElement.matches("input, select");
        if (answer !== first && !busy) location.reload();
        else live.querySelector("[data-said]").textContent = "";
      } catch { live.querySelector("[data-said]").textContent = " The server does not answer any more."; }
    };
    setInterval(ask, Number(live.dataset.seconds) * 1000);
  }
})();
