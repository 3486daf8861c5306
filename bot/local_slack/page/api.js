// The page's calls to its own server, and the stream that says what to fetch again.

async function call(path, options) {
  const response = await fetch(path, options);
  const body = await response.json().catch(() => ({}));
  if (!response.ok && body.ok === undefined) return { ok: false, error: body.error ?? `http_${response.status}`, ...body };
  return body;
}

/** GET with a query; throws TypeError when the server cannot be reached. */
export function get(path, query) {
  return call(`/_local/${path}?${new URLSearchParams(query)}`, { cache: 'no-store' });
}

/** POST; a server that cannot be reached is an answer too, since every caller must show it. */
export async function post(path, body) {
  try {
    return await call(`/_local/${path}`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
    });
  } catch {
    return { ok: false, error: 'unreachable' };
  }
}

const HIDDEN_PAUSE_MS = 20_000;

/**
 * Listens to a person's notices until the returned function is called. A window that nobody looks at lets go of its
 * stream after a while: a browser opens only six connections to one server, and people keep many windows open.
 */
export function listen(user, { onNotice, onOpen, onLost }) {
  let source = null;
  let pause = 0;
  const open = () => {
    if (source) return;
    source = new EventSource(`/_local/stream?user=${encodeURIComponent(user)}`);
    source.onopen = onOpen;
    source.onmessage = (event) => onNotice(JSON.parse(event.data));
    source.onerror = () => {
      onLost();
      // The browser gives up for good on some answers; then we try again ourselves.
      if (source?.readyState === EventSource.CLOSED) { shut(); pause = setTimeout(open, 1000); }
    };
  };
  const shut = () => { source?.close(); source = null; };
  const onVisibility = () => {
    clearTimeout(pause);
    if (document.hidden) pause = setTimeout(shut, HIDDEN_PAUSE_MS);
    else open();
  };
  document.addEventListener('visibilitychange', onVisibility);
  open();
  return () => {
    document.removeEventListener('visibilitychange', onVisibility);
    clearTimeout(pause);
    shut();
  };
}
