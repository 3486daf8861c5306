// One type-ahead list for every kind of select: fixed options, options from the app, people, channels; one or many.
import { freshId, html, useEffect, useLayoutEffect, useRef, useState } from './ui.js';

const TYPING_PAUSE_MS = 150;

const matches = (item, query) => `${item.label} ${item.description ?? ''}`.toLowerCase().includes(query.toLowerCase());

/** Keeps a popup beside its anchor; fixed, since a form's scrolling would cut it off. */
export function usePlacement(open, anchor, popup) {
  useLayoutEffect(() => {
    if (!open) return undefined;
    const place = () => {
      const box = anchor.current?.getBoundingClientRect();
      const list = popup.current;
      if (!box || !list) return;
      const below = innerHeight - box.bottom - 8;
      const above = box.top - 8;
      const upwards = below < Math.min(list.scrollHeight, 240) && above > below;
      const width = Math.max(box.width, list.dataset.wide ? 220 : 0);
      list.style.maxHeight = `${Math.max(96, Math.min(300, upwards ? above : below))}px`;
      list.style.width = list.dataset.wide ? 'max-content' : `${width}px`;
      list.style.minWidth = `${width}px`;
      list.style.left = `${Math.max(8, Math.min(box.left, innerWidth - list.offsetWidth - 8))}px`;
      list.style.top = upwards ? `${box.top - list.offsetHeight - 4}px` : `${box.bottom + 4}px`;
    };
    place();
    addEventListener('scroll', place, true);
    addEventListener('resize', place);
    return () => { removeEventListener('scroll', place, true); removeEventListener('resize', place); };
  });
}

/** The items to offer for what is typed: filtered here, or fetched when there is a loader. */
function useItems({ items, loader, minQuery, open, query }) {
  const [fetched, setFetched] = useState({ items: [], state: 'idle' });
  const turn = useRef(0);
  useEffect(() => {
    if (!loader || !open) return undefined;
    turn.current += 1;
    const mine = turn.current;
    if (query.length < minQuery) { setFetched({ items: [], state: 'short' }); return undefined; }
    setFetched((old) => ({ items: old.items, state: 'loading' }));
    const timer = setTimeout(async () => {
      const found = await loader(query);
      if (mine === turn.current) setFetched(found ? { items: found, state: 'done' } : { items: [], state: 'failed' });
    }, query ? TYPING_PAUSE_MS : 0);
    return () => clearTimeout(timer);
  }, [open, query, Boolean(loader)]);
  if (loader) return fetched;
  return { items: query ? items.filter((item) => matches(item, query)) : items, state: 'done' };
}

function hintFor(found, minQuery) {
  if (found.state === 'loading') return found.items.length ? null : 'Loading…';
  if (found.state === 'failed') return 'The options could not be loaded. Try again.';
  if (found.state === 'short') return `Type ${minQuery === 1 ? 'a letter' : `${minQuery} letters`} to search`;
  return found.items.length ? null : 'No items';
}

function Options({ list, listId, found, hint, active, chosen, pick, label }) {
  let group = null;
  const rows = found.items.flatMap((item, index) => {
    const heading = item.group && item.group !== group
      ? [html`<li class="option-group" role="presentation" key=${`g${index}`}>${item.group}</li>`] : [];
    group = item.group;
    const selected = chosen.some((c) => c.key === item.key);
    return [...heading, html`
      <li key=${item.key} id=${`${listId}-${index}`} role="option" aria-selected=${selected}
          class=${index === active ? 'active' : ''} onMouseDown=${(e) => e.preventDefault()} onClick=${() => pick(item)}>
        <span>${item.label}</span>${item.description ? html`<small>${item.description}</small>` : null}
      </li>`];
  });
  return html`
    <div class="popup" ref=${list}>
      <ul role="listbox" id=${listId} aria-label=${label}>${rows}</ul>
      ${hint ? html`<p class="popup-hint" role="status">${hint}</p>` : null}
    </div>`;
}

function Chosen({ value, remove }) {
  return value.map((item) => html`
    <span class="token" key=${item.key}>${item.label}
      <button type="button" aria-label=${`Remove ${item.label}`} onClick=${() => remove(item)}>✕</button>
    </span>`);
}

/**
 * props: id, label, placeholder, items | loader(query) with minQuery, value (list of items), multi, max, clearable,
 * onChange(list of items). An item is {key, label, description?, group?, raw}.
 */
export function Combobox(props) {
  const { value, multi, onChange, minQuery = 0, max = Infinity } = props;
  const [open, setOpen] = useState(false);
  const [query, setQuery] = useState('');
  const [active, setActive] = useState(0);
  const [listId] = useState(() => freshId('list'));
  const anchor = useRef(null);
  const list = useRef(null);
  const field = useRef(null);
  const found = useItems({ ...props, minQuery, open, query });
  usePlacement(open, anchor, list);
  useEffect(() => { setActive(0); }, [query, open]);
  useEffect(() => { list.current?.querySelector('.active')?.scrollIntoView({ block: 'nearest' }); }, [active, open]);

  const shut = () => { setOpen(false); setQuery(''); };
  const pick = (item) => {
    const has = value.some((v) => v.key === item.key);
    if (!multi) { onChange([item]); shut(); return; }
    if (has) onChange(value.filter((v) => v.key !== item.key));
    else if (value.length < max) onChange([...value, item]);
    setQuery('');
    field.current?.focus();
  };
  const remove = (item) => onChange(value.filter((v) => v.key !== item.key));
  const onKeyDown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (!open) setOpen(true);
      else setActive((old) => Math.max(0, Math.min(found.items.length - 1, old + step)));
    } else if (event.key === 'Enter' && open) {
      event.preventDefault();
      if (found.items[active]) pick(found.items[active]);
    } else if (event.key === 'Escape' && open) {
      // The form around the list has its own meaning for Escape.
      event.preventDefault();
      event.stopPropagation();
      shut();
    } else if (event.key === 'Backspace' && multi && !query && value.length) remove(value.at(-1));
  };
  const shown = open || multi ? query : value[0]?.label ?? '';
  const placeholder = multi && value.length ? '' : (open && value[0]?.label) || props.placeholder;
  return html`
    <div class=${`combobox ${multi ? 'combobox-multi' : ''}`} ref=${anchor}>
      ${multi ? html`<${Chosen} value=${value} remove=${remove} />` : null}
      <input ref=${field} id=${props.id} type="text" role="combobox" autocomplete="off" spellcheck=${false}
        aria-expanded=${open} aria-controls=${listId} aria-autocomplete="list" aria-label=${props.label}
        aria-activedescendant=${open && found.items.length ? `${listId}-${active}` : undefined}
        aria-describedby=${props.describedBy} aria-invalid=${props.invalid ? 'true' : undefined}
        placeholder=${placeholder} value=${shown}
        onClick=${() => setOpen(true)} onBlur=${shut} onKeyDown=${onKeyDown}
        onInput=${(e) => { setOpen(true); setQuery(e.target.value); }} />
      ${props.clearable && !multi && value.length ? html`
        <button type="button" class="clear" aria-label="Clear" onClick=${() => onChange([])}>✕</button>` : null}
      <span class="chevron" aria-hidden="true">⌄</span>
      ${open ? html`<${Options} list=${list} listId=${listId} found=${found} active=${active} chosen=${value}
        hint=${hintFor(found, minQuery)} pick=${pick} label=${props.label ?? 'Options'} />` : null}
    </div>`;
}
