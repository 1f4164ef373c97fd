"""Fills in what jinja2 3.1.6 makes of the cases in prompts.json and language.json.

Jinja is set up as transformers does it (transformers/utils/chat_template_utils.py). Run in this
folder: pip install jinja2==3.1.6 && python render.py
"""
import datetime
import json

import jinja2
import jinja2.ext
import jinja2.sandbox


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_as_it_is"), [], [], body, lineno=line)

    def _as_it_is(self, caller):
        return caller()


def refuse(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = refuse
noon = datetime.datetime(2026, 8, 1, 12, 0, 0)
environment.globals["strftime_now"] = noon.strftime


def render(source, variables):
    try:
        return environment.from_string(source).render(**variables)
    except Exception:
        return None


prompts = json.load(open("prompts.json"))
for case in prompts["cases"]:
    variables = {"tools": None, "bos_token": "<s>", "eos_token": "</s>",
                 "add_generation_prompt": True,
                 "messages": prompts["conversations"][case["conversation"]], **case["variables"]}
    if case["has_tools"]:
        variables["tools"] = prompts["tools"]
    case["prompt"] = render(open(case["template"] + ".jinja").read(), variables)
language = json.load(open("language.json"))
for case in language:
    case["text"] = render(case["source"], case.get("variables", {}))
for name, content in [("prompts.json", prompts), ("language.json", language)]:
    with open(name, "w") as file:
        json.dump(content, file, ensure_ascii=False, indent=1)
        file.write("\n")
