// SPDX-License-Identifier: Apache-2.0
// Keeps an open page up to date, and copies commands and the raw record. The page says everything
// without it.
"use strict";

const REFRESH_MS = 30000; // without news: how long ago things were, and the probe's health
const LEAST_MS = 2000; // between two refreshes, in a storm of kills
const RETRY_MS = 5000;

const state = document.getElementById("live");
let stream = null;
let timer = 0;
let refreshed = Date.now();

function say(well, words) {
	if (state.textContent === words) return; // a screen reader would say it again
	state.dataset.state = well ? "well" : "bad";
	state.textContent = words;
}

// The server renders it all again; only the parts marked as live are taken over.
async function refresh() {
	refreshed = Date.now();
	try {
		const answer = await fetch(location.href, { cache: "no-store" });
		const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
		for (const part of document.querySelectorAll("[data-live]")) {
			const other = fresh.getElementById(part.id);
			if (!other || part.innerHTML === other.innerHTML) continue;
			const focused = part.contains(document.activeElement)
				? document.activeElement.getAttribute("href") : null;
			part.replaceChildren(...other.childNodes);
			if (focused !== null) part.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
		}
		document.body.dataset.newest = fresh.body.dataset.newest;
	} catch {
		say(false, "not live: the exporter does not respond");
	}
}

function refreshSoon(milliseconds) {
	clearTimeout(timer);
	timer = setTimeout(async () => {
		await refresh();
		refreshSoon(REFRESH_MS);
	}, milliseconds);
}

function follow() {
	stream = new EventSource(`/events?after=${encodeURIComponent(document.body.dataset.newest)}`);
	stream.addEventListener("open", () => say(true, "live"));
	stream.addEventListener("incident", () => {
		refreshSoon(Math.max(0, LEAST_MS - (Date.now() - refreshed)));
	});
	stream.addEventListener("error", () => {
		if (stream.readyState === EventSource.CLOSED) { // refused: too many open streams
			say(false, `not live: refreshes every ${REFRESH_MS / 1000} s`);
		} else {
			say(false, "not live: the exporter does not respond");
		}
	});
}

// A page nobody looks at holds no stream: browsers have few connections, the exporter too.
function attend() {
	stream?.close();
	clearTimeout(timer);
	if (document.hidden) return;
	follow();
	refreshSoon(Date.now() - refreshed > RETRY_MS ? 0 : REFRESH_MS);
}

function offerCopy(source, kind, what) {
	const button = document.createElement("button");
	button.type = "button";
	button.className = kind;
	button.textContent = "Copy";
	button.setAttribute("aria-label", `Copy ${what}`);
	button.addEventListener("click", async () => {
		getSelection().selectAllChildren(source);
		let words = "Copied";
		try {
			await navigator.clipboard.writeText(source.textContent);
		} catch { // without TLS there is no clipboard: it is selected
			words = "Selected: press Ctrl-C";
		}
		button.textContent = words;
		button.setAttribute("aria-label", `${words}: ${what}`);
	});
	source.after(button);
}

document.addEventListener("visibilitychange", attend);
const raw = document.getElementById("raw");
if (raw) offerCopy(raw, "copy", "the raw record");
for (const command of document.querySelectorAll("[data-copy]")) {
	offerCopy(command, "copy-command", command.textContent);
}
attend();
