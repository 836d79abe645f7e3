"""The inputs of a node, by ComfyUI's rules: as servers of both kinds answered, and silent where only they can know."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfywatch.problems import Problem, Severity, errors
from comfywatch.schemas import Generation, Schemas
from comfywatch.validation import Verdict, as_answered, partial_outputs, validate, verdict_of


def made(**inputs: Any) -> dict[str, Any]:
    return {"input": {"required": inputs}, "output": ["IMAGE"]}


def giving(*outputs: Any) -> dict[str, Any]:
    return {"input": {"required": {}}, "output": list(outputs)}


INT5 = ["INT", {"max": 5}]
CLASSES: dict[str, Any] = {
    "Show": {"input": {"required": {"source": ["*", {}]}}, "output": [], "output_node": True},
    "Image": giving("IMAGE"),
    "Int": giving("INT"),
    "Nothing": giving(),
    "Both": giving("A,B"),
    "Match": giving("COMFY_MATCHTYPE_V3"),
    "Any": giving("*"),
    "List": giving(["a", "b"]),
    "Combo": giving("COMBO"),
    "Whole": made(x=["INT", {"min": 1, "max": 16}]),
    "Number": made(x=["FLOAT", {"min": 0.0, "max": 1.0}]),
    "Text": made(x=["STRING", {}]),
    "Flag": made(x=["BOOLEAN", {}]),
    "Either": made(x=["FLOAT,INT", {"min": 1.0, "max": 9.0}]),
    "Choice1": made(x=[["a", "b", 3], {}]),
    "Choice3": made(x=["COMBO", {"options": ["a", "b", 3]}]),
    "Many1": made(x=[["a", "b"], {"multiselect": True}]),
    "Many3": made(x=["COMBO", {"options": ["a", "b"], "multiselect": True}]),
    "Remote": made(x=["COMBO", {"remote": {"route": "/x"}}]),
    "NoOptions": made(x=["COMBO", {"options": None}]),
    "Sampler": made(sampler_name=[["euler", "euler_ancestral", "euler_ancestral_cfg_pp", "heun"], {}]),
    "TakesImage": made(x=["IMAGE", {}]),
    "TakesWords": made(x=["B, C", {}]),
    "TakesList": made(x=[["a", "b"], {}]),
    "TakesOtherList": made(x=[["a"], {}]),
    "TakesCombo": made(x=["COMBO", {"options": ["a", "b"]}]),
    "TakesMatch": made(x=["COMFY_MATCHTYPE_V3", {"template": {"allowed_types": "IMAGE"}}]),
    "Optional": {"input": {"optional": {"x": INT5}, "hidden": {"h": "PROMPT"}}, "output": ["IMAGE"]},
    "Modes": made(
        mode=[
            "COMFY_DYNAMICCOMBO_V3",
            {
                "options": [
                    {"key": "plain", "inputs": {"required": {}}},
                    {"key": "sized", "inputs": {"required": {"n": INT5}, "optional": {"im": ["IMAGE", {}]}}},
                    {
                        "key": "deep",
                        "inputs": {
                            "required": {
                                "mode": [
                                    "COMFY_DYNAMICCOMBO_V3",
                                    {"options": [{"key": "in", "inputs": {"required": {"n": INT5}}}]},
                                ]
                            }
                        },
                    },
                ]
            },
        ]
    ),
    "Grows": made(
        images=[
            "COMFY_AUTOGROW_V3",
            {"template": {"input": {"required": {"image": ["IMAGE", {}]}}, "prefix": "image", "min": 1, "max": 3}},
        ]
    ),
    "GrowsByName": {
        "input": {
            "optional": {
                "v": [
                    "COMFY_AUTOGROW_V3",
                    {"template": {"input": {"required": {"i": INT5}}, "names": ["p", "q", "r"], "min": 2}},
                ]
            }
        },
        "output": ["IMAGE"],
    },
    "Unheard": made(x=["COMFY_UNHEARD_V9", {"template": {}}]),
    "LoadImage": made(image=[["here.png"], {"image_upload": True}]),
    "LoadImageOutput": made(image=["COMBO", {"image_upload": True, "remote": {"route": "/x"}}]),
    "PackUpload": made(video=[["here.mp4"], {"video_upload": True}]),
    "Load3D": made(model_file=[["3d/here.glb"], {"file_upload": True}], width=INT5),
    "FluxProUltraImageNode": made(aspect_ratio=["STRING", {}]),
    "TripoConversionNode": made(original_model_task_id=["A,B", {}], quad=["BOOLEAN", {}]),
    "Odd": {"input": {"required": {"x": INT5}, "optional": {"x": ["INT", {"max": 9}]}}, "output": ["IMAGE"]},
}


def schemas(generation: Generation) -> Schemas:
    read = Schemas.read(CLASSES)
    read.version_hint = generation
    return read


OLDER, NEWER = schemas(Generation.OLDER), schemas(Generation.NEWER)
BOTH = pytest.mark.parametrize("server", [OLDER, NEWER], ids=["older", "newer"])


def shown(class_type: str, /, **inputs: Any) -> dict[str, Any]:
    """A prompt that shows what a node with ``inputs`` gives; 8 is an INT, 9 an IMAGE."""
    return {
        "1": {"class_type": class_type, "inputs": inputs},
        "2": {"class_type": "Show", "inputs": {"source": ["1", 0]}},
        "8": {"class_type": "Int", "inputs": {}},
        "9": {"class_type": "Image", "inputs": {}},
    }


def check(server: Schemas, prompt: dict[str, Any]) -> tuple[Problem, ...]:
    return validate(prompt, schemas=server, uploaded=())


def found(server: Schemas, class_type: str, /, **inputs: Any) -> list[tuple[str, str]]:
    return [(problem.input, problem.code) for problem in errors(check(server, shown(class_type, **inputs)))]


# ---- values


@BOTH
@pytest.mark.parametrize("value", [5, "5", " 5 ", "1_0", True, 12.7, {"__value__": 5}, {"__value__": "5", "more": 1}])
def test_a_whole_number_is_what_int_makes_one(server: Schemas, value: Any) -> None:
    assert found(server, "Whole", x=value) == []


@BOTH
@pytest.mark.parametrize("value", ["12.7", "", "abc", "0x10", None, {}, {"__value__": [1]}, float("inf"), "9" * 5000])
def test_what_int_does_not_take_is_no_whole_number(server: Schemas, value: Any) -> None:
    assert found(server, "Whole", x=value) == [("x", "invalid_input_type")]


@BOTH
@pytest.mark.parametrize(("value", "code"), [(0, "value_smaller_than_min"), ("17", "value_bigger_than_max")])
def test_the_range_is_that_of_the_converted_value(server: Schemas, value: Any, code: str) -> None:
    assert found(server, "Whole", x=value) == [("x", code)]


@BOTH
def test_a_number_may_be_none_and_may_not_be_infinite(server: Schemas) -> None:
    assert [found(server, "Number", x=value) for value in ("nan", "1e-3", 1, True)] == [[]] * 4
    assert found(server, "Number", x="inf") == [("x", "value_bigger_than_max")]
    assert found(server, "Number", x=None) == [("x", "invalid_input_type")]
    assert found(server, "Number", x=10**400) == [("x", "invalid_input_type")]


@BOTH
@pytest.mark.parametrize("value", [None, 5, {}, "x", {"__value__": ["x"]}])
def test_anything_is_a_text_and_true_or_false(server: Schemas, value: Any) -> None:
    assert found(server, "Text", x=value) == found(server, "Flag", x=value) == []


@BOTH
def test_one_of_several_types_is_not_converted_and_must_be_a_number_to_be_in_a_range(server: Schemas) -> None:
    assert found(server, "Either", x=5) == []
    assert found(server, "Either", x=0) == [("x", "value_smaller_than_min")]
    assert found(server, "Either", x="5") == [("x", "invalid_input_type")]


@BOTH
@pytest.mark.parametrize("value", [None, 5, "x", {}, {"__value__": ["77", 0]}])
def test_a_value_where_a_link_belongs_is_found_late(server: Schemas, value: Any) -> None:
    assert found(server, "TakesImage", x=value) == []


# ---- choices


@BOTH
def test_every_version_checks_a_list(server: Schemas) -> None:
    assert [found(server, "Choice1", x=value) for value in ("a", 3, 3.0)] == [[]] * 3
    for value in ("c", "3", None, True, {"__value__": ["a"]}, ""):
        assert found(server, "Choice1", x=value) == [("x", "value_not_in_list")]


def test_only_newer_ones_check_options_and_older_ones_are_no_reason_to_wait() -> None:
    assert found(NEWER, "Choice3", x="c") == [("x", "value_not_in_list")]
    assert found(OLDER, "Choice3", x="c") == []
    (warning,) = check(OLDER, shown("Choice3", x="c"))
    assert warning.severity is Severity.WARNING
    assert verdict_of(shown("Choice3", x="c"), [warning], OLDER) is Verdict.OK


def test_of_several_choices_newer_ones_look_at_each() -> None:
    both, one_wrong = {"__value__": ["a", "b"]}, {"__value__": ["a", "z"]}
    for class_type in ("Many1", "Many3"):
        assert found(NEWER, class_type, x=both) == found(NEWER, class_type, x={"__value__": []}) == []
        assert found(NEWER, class_type, x=one_wrong) == [("x", "value_not_in_list")]
    assert found(OLDER, "Many1", x=both) == [("x", "value_not_in_list")]
    assert found(OLDER, "Many3", x=one_wrong) == []


@BOTH
@pytest.mark.parametrize("class_type", ["Remote", "NoOptions"])
def test_choices_that_are_not_told_are_not_checked(server: Schemas, class_type: str) -> None:
    assert found(server, class_type, x="whatever") == []


def test_a_wrong_choice_gets_the_near_one() -> None:
    prompt = shown("Sampler", sampler_name="euler_a")
    prompt["1"]["_meta"] = {"title": "My sampler"}
    (problem,) = check(NEWER, prompt)
    assert problem.message == (
        "Sampler 'My sampler' (node 1): 'euler_a' is no sampler_name here; did you mean 'euler_ancestral'?"
    )
    assert problem.fix == "It takes 'euler', 'euler_ancestral', 'euler_ancestral_cfg_pp', 'heun'."


# ---- which inputs are looked at


@BOTH
def test_a_required_input_is_missed_and_an_optional_one_is_not(server: Schemas) -> None:
    assert found(server, "Whole") == [("x", "required_input_missing")]
    assert found(server, "Optional") == []
    assert found(server, "Optional", x=9, h="hidden", other=["77", 0]) == [("x", "value_bigger_than_max")]


@BOTH
def test_what_is_listed_twice_is_required(server: Schemas) -> None:
    assert found(server, "Odd") == [("x", "required_input_missing")]
    assert found(server, "Odd", x=6) == [("x", "value_bigger_than_max")]


@BOTH
def test_a_fault_upstream_takes_down_only_the_outputs_below_it(server: Schemas) -> None:
    prompt = shown("Whole", x=0) | {"3": {"class_type": "Show", "inputs": {"source": ["9", 0]}}}
    problems = check(server, prompt)
    assert partial_outputs(prompt, problems, server).dropped == ("2",)
    assert verdict_of(prompt, problems, server) is Verdict.PARTIAL


# ---- links


@BOTH
@pytest.mark.parametrize(
    ("giver", "taker", "passes"),
    [
        ("Image", "TakesImage", True),
        ("Int", "TakesImage", False),
        ("Int", "Number", False),
        ("Both", "TakesWords", True),
        ("Both", "TakesImage", False),
        ("Int", "TakesWords", False),
        ("Any", "TakesImage", True),
        ("Any", "TakesList", True),
        ("Match", "TakesImage", True),
        ("Int", "TakesMatch", True),
        ("List", "TakesList", True),
        ("List", "TakesOtherList", False),
        ("Combo", "TakesCombo", True),
        ("Combo", "TakesList", False),
    ],
)
def test_an_output_fits_an_input_or_not(server: Schemas, giver: str, taker: str, passes: bool) -> None:
    prompt = shown(taker, x=["7", 0]) | {"7": {"class_type": giver, "inputs": {}}}
    codes = [problem.code for problem in check(server, prompt)]
    assert codes == ([] if passes else ["return_type_mismatch"])


def test_newer_ones_let_a_list_of_choices_into_any_choice() -> None:
    prompt = shown("TakesCombo", x=["7", 0]) | {"7": {"class_type": "List", "inputs": {}}}
    assert [problem.code for problem in check(OLDER, prompt)] == ["return_type_mismatch"]
    assert check(NEWER, prompt) == ()


def test_outputs_that_are_one_word_are_its_letters_as_python_has_it() -> None:
    read = Schemas.read({"Slip": {"output": "IMAGE"}})
    assert read.outputs("Slip") == tuple("IMAGE")


def test_a_link_that_does_not_fit_names_both_ends() -> None:
    (problem,) = check(NEWER, shown("TakesImage", x=["8", 0]))
    assert problem.message == "TakesImage (node 1): x takes IMAGE, and gets INT from Int (node 8)."


@BOTH
def test_slots_count_from_both_ends_and_end_there(server: Schemas) -> None:
    assert found(server, "TakesImage", x=["9", -1]) == []
    assert found(server, "TakesImage", x=["9", -2]) == [("x", "exception_during_validation")]
    prompt = shown("TakesImage", x=["7", 0]) | {"7": {"class_type": "Nothing", "inputs": {}}}
    assert [problem.code for problem in check(server, prompt)] == ["exception_during_validation"]


@BOTH
def test_a_package_whose_output_fits_anything_may_have_more_of_them(server: Schemas) -> None:
    prompt = shown("TakesImage", x=["7", 3]) | {"7": {"class_type": "Any", "inputs": {}}}
    assert check(server, prompt) == ()


# ---- inputs that bring others along


@pytest.mark.parametrize("mode", [None, "nope", 5, True, ["plain"], ["77", 0], [1, 2, 3], {"__value__": "sized"}])
def test_a_dynamic_choice_itself_is_never_looked_at(mode: Any) -> None:
    assert found(NEWER, "Modes", mode=mode) == []
    assert found(NEWER, "Modes") == []


def test_a_dynamic_choice_brings_the_inputs_of_the_chosen_option() -> None:
    assert found(NEWER, "Modes", mode="sized") == [("mode.n", "required_input_missing")]
    too_big = found(NEWER, "Modes", mode="sized", **{"mode.n": 9, "mode.im": ["8", 0]})
    assert too_big == [("mode.n", "value_bigger_than_max"), ("mode.im", "return_type_mismatch")]
    assert found(NEWER, "Modes", mode="plain", **{"mode.n": 9, "mode.im": ["77", 0]}) == []
    assert found(NEWER, "Modes", mode="deep", **{"mode.mode": "in"}) == [("mode.mode.n", "required_input_missing")]
    assert found(NEWER, "Modes", mode="deep", **{"mode.mode": "nope"}) == []


def test_what_an_unchosen_option_is_linked_to_is_not_needed() -> None:
    prompt = shown("Modes", mode="plain", **{"mode.im": ["7", 0]}) | {"7": {"class_type": "Whole", "inputs": {}}}
    assert check(NEWER, prompt) == ()


def test_a_growing_input_needs_its_first_ones_and_takes_no_more_than_it_can() -> None:
    assert found(NEWER, "Grows") == [("images.image0", "required_input_missing")]
    assert found(NEWER, "Grows", images=["9", 0]) == [("images.image0", "required_input_missing")]
    first = {"images.image0": ["9", 0]}
    assert found(NEWER, "Grows", **first, **{"images.image3": ["77", 0], "images.x": ["77", 0]}) == []
    assert found(NEWER, "Grows", **first, **{"images.image2": ["8", 0]}) == [("images.image2", "return_type_mismatch")]


def test_a_growing_input_may_have_names_and_is_required_though_it_is_optional() -> None:
    missing = [("v.p", "required_input_missing"), ("v.q", "required_input_missing")]
    assert found(NEWER, "GrowsByName") == missing
    assert found(NEWER, "GrowsByName", **{"v.p": 1, "v.q": 9}) == [("v.q", "value_bigger_than_max")]


def test_a_dynamic_input_of_another_kind_is_not_judged_but_followed() -> None:
    assert found(NEWER, "Unheard", **{"x.a": 5, "x": [1, 2, 3]}) == []
    prompt = shown("Unheard", **{"x.a": ["1", 0]})
    assert {problem.code for problem in check(NEWER, prompt)} == {"dependency_cycle"}


# ---- what nodes check themselves


@BOTH
def test_a_file_that_is_not_listed_is_missing_unless_it_is_brought_along(server: Schemas) -> None:
    prompt = shown("LoadImage", image="new.png")
    (problem,) = validate(prompt, schemas=server, uploaded=())
    assert problem.message == "LoadImage (node 1): image: the image file 'new.png' is not in ComfyUI's input folder."
    assert validate(prompt, schemas=server, uploaded=["new.png"]) == ()
    assert validate(prompt, schemas=server) == ()


@BOTH
@pytest.mark.parametrize("name", ["here.png", "sub/x.png", "sub\\x.png", "x.png [output]", "", {"__value__": "a/b"}])
def test_what_may_be_on_the_server_is_not_missed(server: Schemas, name: Any) -> None:
    assert found(server, "LoadImage", image=name) == []
    assert found(server, "LoadImageOutput", image="x.png") == []


@BOTH
@pytest.mark.parametrize("value", [None, 5, {}, True, ["9", 0], ["8", 0], [1, 2, 3]])
def test_what_is_no_name_is_no_file(server: Schemas, value: Any) -> None:
    assert found(server, "LoadImage", image=value) == [("image", "custom_validation_failed")]
    assert validate(shown("LoadImage", image=value), schemas=server)


@BOTH
def test_files_of_packages_are_left_to_them(server: Schemas) -> None:
    assert found(server, "PackUpload", video="other.mp4") == []


def test_a_node_that_checks_itself_only_in_newer_versions_is_checked_in_older_ones() -> None:
    assert found(OLDER, "Load3D", model_file="x.glb", width=9) == [
        ("model_file", "value_not_in_list"),
        ("width", "value_bigger_than_max"),
    ]
    assert found(NEWER, "Load3D", model_file="x.glb", width=9) == []
    assert found(NEWER, "Load3D", model_file=None, width=1) == []
    assert found(NEWER, "Load3D", model_file=5, width=1) == [("model_file", "custom_validation_failed")]
    assert validate(shown("Load3D", model_file="x.glb", width=1), schemas=OLDER) == ()


@BOTH
def test_the_few_other_own_checks_that_are_known(server: Schemas) -> None:
    for ratio in ("16:9", "1:4", "4:1"):
        assert found(server, "FluxProUltraImageNode", aspect_ratio=ratio) == []
    for other in ("99:1", "a:b", "", ":", None, 5, ["9", 0]):
        bad = found(server, "FluxProUltraImageNode", aspect_ratio=other)
        assert bad == [("aspect_ratio", "custom_validation_failed")]
    prompt = shown("TripoConversionNode", original_model_task_id=["7", 0], quad=["9", 0])
    assert check(server, prompt | {"7": {"class_type": "Both", "inputs": {}}}) == ()
    unlinked = found(server, "TripoConversionNode", original_model_task_id="id", quad=True)
    assert unlinked == [("original_model_task_id", "custom_validation_failed")]


# ---- whatever comes

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from("12789"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(
    (
        *("x", "mode", "mode.n", "mode.im", "mode.mode", "images", "images.image0", "v.p", "image", "source", "width"),
        *("model_file", "aspect_ratio", "original_model_task_id", "sampler_name", "video"),
    )
)
values = any_json | st.tuples(st.sampled_from("12789"), st.integers(-2, 2)).map(list) | st.sampled_from(["sized", "a"])
nodes = st.fixed_dictionaries(
    {"class_type": st.sampled_from(sorted(CLASSES))}, optional={"inputs": st.dictionaries(names, values, max_size=4)}
)


@settings(deadline=None)  # the machine may be busy
@given(st.dictionaries(st.sampled_from("12789"), nodes, min_size=1), st.sampled_from([OLDER, NEWER]))
def test_no_value_makes_it_raise_and_an_error_never_leaves_all_outputs_whole(prompt: Any, server: Schemas) -> None:
    problems = check(server, prompt)
    assert all(problem.message and problem.fix for problem in problems)
    if errors(as_answered(problems, server)):
        assert verdict_of(prompt, problems, server) in (Verdict.REJECTED, Verdict.PARTIAL)
    else:
        assert verdict_of(prompt, problems, server) is Verdict.OK


@settings(deadline=None)
@given(st.dictionaries(names, any_json, max_size=3), any_json)
def test_no_schema_makes_it_raise(given_inputs: dict[str, Any], spec: Any) -> None:
    for kind in ("COMFY_DYNAMICCOMBO_V3", "COMFY_AUTOGROW_V3", "COMBO", "INT"):
        options = spec if isinstance(spec, dict) else {"template": spec, "options": spec, "min": spec, "max": spec}
        plain = {
            "K": {"input": {"required": {"x": [kind, options], "mode": spec}}, "output": [spec], "output_node": True}
        }
        assert isinstance(
            validate({"1": {"class_type": "K", "inputs": given_inputs}}, schemas=Schemas.read(plain)), tuple
        )
