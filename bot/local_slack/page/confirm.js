// The confirm dialog that an app can put before a click. One at a time; it answers with a promise.
import { html, useEffect, useRef } from './ui.js';
import { change, store } from './store.js';
import { TextObject, wordsOf } from './text.js';

/** Asks; resolves to true when the person agrees. */
export function confirmFirst(confirm) {
  const before = document.activeElement;
  return new Promise((resolve) => {
    const done = (answer) => {
      change({ confirm: null });
      before?.focus?.();
      resolve(answer);
    };
    change({ confirm: { ...confirm, done } });
  });
}

export function ConfirmDialog() {
  const asked = store.confirm;
  const dialog = useRef(null);
  useEffect(() => { if (asked && !dialog.current.open) dialog.current.showModal(); }, [asked]);
  if (!asked) return null;
  const deny = () => asked.done(false);
  const onKeyDown = (event) => { if (event.key === 'Escape') { event.preventDefault(); deny(); } };
  return html`
    <dialog ref=${dialog} class="dialog confirm" role="dialog" aria-modal="true" aria-labelledby="confirm-title"
      aria-describedby="confirm-text" onKeyDown=${onKeyDown} onCancel=${(e) => { e.preventDefault(); deny(); }}>
      <header><h2 id="confirm-title">${wordsOf(asked.title) || 'Are you sure?'}</h2>
        <button type="button" class="icon-button" aria-label="Close" onClick=${deny}>✕</button></header>
      <div class="dialog-body" id="confirm-text"><${TextObject} value=${asked.text} /></div>
      <footer>
        <button type="button" class="button" autofocus onClick=${deny}>${wordsOf(asked.deny) || 'Cancel'}</button>
        <button type="button" class=${`button ${asked.style === 'danger' ? 'danger solid' : 'primary'}`}
          onClick=${() => asked.done(true)}>${wordsOf(asked.confirm) || 'Yes'}</button>
      </footer>
    </dialog>`;
}
