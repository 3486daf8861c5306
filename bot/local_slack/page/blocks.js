// Block Kit blocks, as they look in a message, a form or the Home tab.
import { freshId, html, useContext, useState } from './ui.js';
import { Element, ValueElement } from './elements.js';
import { Markdown, RichText, Table } from './rich.js';
import { Scope, isAmended } from './scope.js';
import { TextObject, wordsOf } from './text.js';

/** Where an image may be loaded from: this machine. Others are named instead of fetched. */
function localSource(image) {
  if (image.slack_file) return image.slack_file.url ?? `/_files/${encodeURIComponent(image.slack_file.id)}`;
  const url = String(image.image_url ?? '');
  if (/^data:image\//.test(url)) return url;
  const host = URL.canParse(url, location.href) ? new URL(url, location.href).hostname : '';
  return ['127.0.0.1', 'localhost', location.hostname].includes(host) ? url : null;
}

function Picture({ image, look }) {
  const [broken, setBroken] = useState(false);
  const source = localSource(image);
  if (!source || broken) return html`<span class=${`${look} no-picture`} role="img" aria-label=${image.alt_text}>🖼 ${image.alt_text}</span>`;
  return html`<img class=${look} src=${source} alt=${image.alt_text ?? ''} onError=${() => setBroken(true)} />`;
}

function Section({ block, report }) {
  const { accessory } = block;
  return html`
    <div class="section">
      <div class="section-main">
        ${block.text ? html`<div class="section-text"><${TextObject} value=${block.text} /></div>` : null}
        ${block.fields ? html`<div class="fields">${block.fields.map((f) => html`<div><${TextObject} value=${f} /></div>`)}</div>` : null}
      </div>
      ${accessory ? html`<div class="accessory">${accessory.type === 'image'
        ? html`<${Picture} image=${accessory} look="accessory-image" />`
        : html`<${Element} blockId=${block.block_id} element=${accessory} report=${report} />`}</div>` : null}
    </div>`;
}

const Context = ({ block }) => html`
  <div class="context">${block.elements.map((e) => (e.type === 'image'
    ? html`<${Picture} image=${e} look="context-image" />` : html`<span><${TextObject} value=${e} /></span>`))}</div>`;

const Actions = ({ block, report }) => html`
  <div class="actions" role="group" aria-label="Actions">${block.elements.map((e) => html`
    <${Element} key=${e.action_id} blockId=${block.block_id} element=${e} report=${report} />`)}</div>`;

const ImageBlock = ({ block }) => html`
  <figure>${block.title ? html`<figcaption><${TextObject} value=${block.title} /></figcaption>` : null}
    <${Picture} image=${block} look="picture" /></figure>`;

/** A field of a form with its label, hint and error. */
function Input({ block, report, problem }) {
  const scope = useContext(Scope);
  const [id] = useState(() => freshId('field'));
  const error = isAmended(scope, block.block_id) ? null : problem ?? scope.view?.errors?.[block.block_id];
  const described = [block.hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ') || undefined;
  const group = /^(checkboxes|radio_buttons)$/.test(block.element.type);
  const words = wordsOf(block.label);
  return html`
    <div class=${`input ${error ? 'has-error' : ''}`}>
      <label for=${group ? undefined : id}>${words}${block.optional ? html` <span class="optional">(optional)</span>` : null}</label>
      <${ValueElement} blockId=${block.block_id} element=${block.element} tells=${Boolean(block.dispatch_action)}
        report=${report} id=${id} label=${group ? words : undefined} describedBy=${described} invalid=${Boolean(error)}
        optional=${block.optional} />
      ${error ? html`<p class="error" id=${`${id}-error`} role="alert">${error}</p>` : null}
      ${block.hint ? html`<p class="hint" id=${`${id}-hint`}><${TextObject} value=${block.hint} /></p>` : null}
    </div>`;
}

const DRAW = {
  section: Section,
  header: ({ block }) => html`<h3 class="header-block"><${TextObject} value=${block.text} /></h3>`,
  divider: () => html`<hr />`,
  context: Context,
  actions: Actions,
  image: ImageBlock,
  input: Input,
  rich_text: RichText,
  table: Table,
  markdown: ({ block }) => html`<${Markdown} text=${block.text} />`,
  alert: ({ block }) => html`<div class=${`alert-block ${block.level ?? ''}`} role="note"><${TextObject} value=${block.text} /></div>`,
};

/** One block; what goes wrong with a click of it is said under it. */
function Block({ block, problem }) {
  const [failure, report] = useState(null);
  const draw = DRAW[block.type];
  if (!draw) return html`<p class="unknown">[A block of type ${block.type} is not shown here]</p>`;
  return html`
    <div class=${`block block-${block.type}`} data-block-id=${block.block_id}>
      <${draw} block=${block} report=${report} problem=${problem} />
      ${failure ? html`<p class="error" role="alert">⚠️ ${failure}</p>` : null}
    </div>`;
}

/** Blocks in their scope; `problems` are errors that the page itself found, by block_id. */
export function Blocks({ scope, problems = {} }) {
  return html`
    <${Scope.Provider} value=${scope}>
      <div class="blocks">${scope.blocks.map((block, i) => html`
        <${Block} key=${block.block_id ?? i} block=${block} problem=${problems[block.block_id]} />`)}</div>
    <//>`;
}
