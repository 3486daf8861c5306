// The confirm dialog that an app can put before a click. One at a time; it answers with a promise.
import { html, useLayoutEffect, useRef } from './ui.js';
import { change, store } from './store.js';
import { TextObject, wordsOf } from './text.js';

/** Asks; resolves to true when the person agrees. */
export function confirmFirst(confirm) {
  return new Promise((resolve) => {
    const done = (answer) => { change({ confirm: null }); resolve(answer); };
    change({ confirm: { ...confirm, done } });
  });
}

/** Shows a dialog over everything while it is drawn. Closing it properly is what gives the keyboard's place back. */
export function useModalDialog(dialog) {
  useLayoutEffect(() => {
    const shown = dialog.current;
    shown.showModal();
    return () => shown.close();
  }, []);
}

export const ConfirmDialog = () => (store.confirm ? html`<${Question} asked=${store.confirm} />` : null);

function Question({ asked }) {
  const dialog = useRef(null);
  useModalDialog(dialog);
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
